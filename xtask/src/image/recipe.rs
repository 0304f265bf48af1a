//! A Containerfile of `deploy/images` -> what an image is made of: that part of the language which needs no engine. What is not
//! understood is refused, for an engine would make another image of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::layer::{Layer, Node};

/// What such a file says.
#[derive(Default, Debug)]
pub struct Recipe {
    /// From where to where, in order.
    copies: Vec<(String, String)>,
    /// Those whose value is not empty.
    pub labels: BTreeMap<String, String>,
    /// `KEY=VALUE`.
    pub environment: Vec<String>,
    /// Where the program is started.
    pub folder: String,
    /// User and group by number.
    pub user: String,
    /// What is run.
    pub entrypoint: Vec<String>,
}

impl Recipe {
    /// Reads `text`; `arguments` are the values of its `ARG`s.
    pub fn parse(text: &str, arguments: &BTreeMap<&str, String>) -> Result<Recipe> {
        let (mut recipe, mut named) = (Recipe::default(), Vec::new());
        let mut base = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "FROM" => base = Some(rest),
                "ARG" => named.push(arguments.get_key_value(rest).with_context(|| refusal(line))?),
                _ => recipe.take(word, &filled(rest, &named)).with_context(|| refusal(line))?,
            }
        }
        if base != Some("scratch") || recipe.entrypoint.is_empty() || recipe.user.is_empty() {
            bail!("an image is FROM scratch, and says USER and ENTRYPOINT");
        }
        Ok(recipe)
    }

    fn take(&mut self, word: &str, rest: &str) -> Result<()> {
        match word {
            "LABEL" => {
                let (key, value) = rest.split_once('=').context("no value")?;
                let value =
                    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).context("no quotes")?;
                if !value.is_empty() {
                    self.labels.insert(key.to_owned(), value.to_owned());
                }
            }
            "COPY" => {
                let (from, to) = rest.split_once(' ').context("not two names")?;
                let to = to.strip_prefix('/').context("no absolute path")?;
                self.copies.push((from.to_owned(), to.to_owned()));
            }
            "ENV" if rest.contains('=') => self.environment.push(rest.to_owned()),
            "WORKDIR" => rest.clone_into(&mut self.folder),
            "USER" => rest.clone_into(&mut self.user),
            "ENTRYPOINT" => self.entrypoint = serde_json::from_str(rest).context("no list of words")?,
            _ => bail!("no such instruction"),
        }
        Ok(())
    }

    /// The files of the image, out of `folder`, with their modes there.
    pub fn files(&self, folder: &Path) -> Result<Layer> {
        let mut files = Layer::default();
        for (from, to) in &self.copies {
            let source = folder.join(from);
            add(&mut files, &source, to.trim_end_matches('/'))
                .with_context(|| format!("cannot copy {}", source.display()))?;
        }
        Ok(files)
    }
}

fn refusal(line: &str) -> String {
    format!("`{line}` is not among what deploy/images/README.md allows")
}

fn filled(rest: &str, named: &[(&&str, &String)]) -> String {
    named.iter().fold(rest.to_owned(), |rest, (name, value)| rest.replace(&format!("${{{name}}}"), value))
}

/// A file, or what is in a folder, at `to`; the root has no name.
fn add(files: &mut Layer, source: &Path, to: &str) -> Result<()> {
    let found = fs::metadata(source)?;
    let mode = found.permissions().mode() & 0o7777;
    if found.is_file() {
        files.put(to, Node::File(mode, fs::read(source)?));
        return Ok(());
    }
    if !to.is_empty() {
        files.put(to, Node::Folder(mode));
    }
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name that is no UTF-8")?;
        let below = if to.is_empty() { name } else { format!("{to}/{name}") };
        add(files, &entry.path(), &below)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# comment\nFROM scratch\nARG VERSION\nLABEL a=\"b ${VERSION}\"\nCOPY x /usr/x\nCOPY y/ /\nENV A=b\nWORKDIR /\n\
                        USER 1:1\nENTRYPOINT [\"/usr/x\"]\n";

    fn arguments(version: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("VERSION", version.to_owned())])
    }

    #[test]
    fn files_labels_and_program_are_those_of_the_file() {
        let recipe = Recipe::parse(TEXT, &arguments("2")).unwrap();
        assert_eq!(recipe.labels, BTreeMap::from([("a".to_owned(), "b 2".to_owned())]));
        assert_eq!(
            (&*recipe.user, &*recipe.folder, &*recipe.entrypoint),
            ("1:1", "/", &["/usr/x".to_owned()][..])
        );
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "x").unwrap();
        fs::create_dir_all(folder.path().join("y/tmp")).unwrap();
        fs::set_permissions(folder.path().join("x"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(folder.path().join("y/tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        let mut wanted = Layer::default();
        wanted.put("usr/x", Node::File(0o755, b"x".to_vec()));
        wanted.put("tmp", Node::Folder(0o1777));
        assert_eq!(recipe.files(folder.path()).unwrap().archive().unwrap(), wanted.archive().unwrap());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["RUN true", "COPY --chown=1 x /x", "ADD x /x", "LABEL a=b", "ARG OTHER", "COPY x y"] {
            let refused = Recipe::parse(&format!("{TEXT}{line}\n"), &arguments("1")).unwrap_err();
            assert!(format!("{refused:#}").starts_with(&format!("`{line}` is not among")), "{refused:#}");
        }
        let based = TEXT.replace("scratch", "debian");
        assert!(Recipe::parse(&based, &arguments("1")).unwrap_err().to_string().contains("FROM scratch"));
    }

    #[test]
    fn a_label_without_a_value_is_left_out() {
        let recipe = Recipe::parse(&TEXT.replace("b ${VERSION}", "${VERSION}"), &arguments("")).unwrap();
        assert!(recipe.labels.is_empty());
    }
}
