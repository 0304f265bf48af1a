//! Links of the documents to each other: each file that one leads to is there, and each chapter in it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Remark;
use crate::layout::Layout;

/// What there is to say about the links of the document `name`.
pub fn remarks(layout: &Layout, name: &str, text: &str) -> Vec<Remark> {
    let broken = links(text).into_iter().filter(|(_, link)| !leads_somewhere(layout, name, text, link));
    let remark = |(line, link): (usize, String)| Remark {
        place: format!("{name}:{line}"),
        what: format!("the link to `{link}` leads nowhere"),
        is_wrong: true,
    };
    broken.map(remark).collect()
}

/// Links within the tree, with their lines; those to other places, and what stands in a block of code, are left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, prose) in prose(text) {
        for (start, _) in prose.match_indices("](") {
            let Some((link, _)) = prose.get(start + 2..).and_then(|rest| rest.split_once(')')) else {
                continue;
            };
            if !link.contains("://") && !link.starts_with("mailto:") {
                links.push((line, link.to_owned()));
            }
        }
    }
    links
}

/// Lines outside of blocks of code, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((number + 1, line))
    })
}

fn leads_somewhere(layout: &Layout, name: &str, text: &str, link: &str) -> bool {
    let (file, chapter) = link.split_once('#').map_or((link, None), |(file, chapter)| (file, Some(chapter)));
    if file.is_empty() {
        return chapter.is_some_and(|chapter| chapters(text).any(|known| known == chapter));
    }
    let path = layout.root.join(beside(name, file));
    match chapter {
        None => path.exists(),
        Some(chapter) => {
            fs::read_to_string(path).is_ok_and(|text| chapters(&text).any(|known| known == chapter))
        }
    }
}

/// Where a path leads that stands in the file `name`.
fn beside(name: &str, path: &str) -> PathBuf {
    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
    let mut found = PathBuf::new();
    for part in folder.join(path).components() {
        if part == Component::ParentDir {
            found.pop();
        } else {
            found.push(part);
        }
    }
    found
}

/// Headings, as a link calls them.
fn chapters(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| slug(title.strip_prefix(' ')?).into()).flatten()
    })
}

fn slug(title: &str) -> String {
    let letters = title.trim().chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    letters.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code_and_those_to_other_places_are_left_out() {
        let text = "See [a](a.md#x) and [b](https://b.example/).\n```\n[c](c.md)\n```\n[d](#d)";
        assert_eq!(links(text), [(1, "a.md#x".to_owned()), (5, "#d".to_owned())]);
    }

    #[test]
    fn a_path_is_taken_from_the_file_that_it_stands_in() {
        assert_eq!(beside("docs/guide/a.md", "../../deploy/x.yaml"), Path::new("deploy/x.yaml"));
        assert_eq!(beside("README.md", "docs/b.md"), Path::new("docs/b.md"));
    }

    #[test]
    fn headings_are_called_as_links_call_them() {
        let text = "# What it cannot see\n```\n# no heading\n```\n## `GET /v1/events`, paged\n#hashtag";
        assert_eq!(chapters(text).collect::<Vec<_>>(), ["what-it-cannot-see", "get-v1events-paged"]);
    }
}
