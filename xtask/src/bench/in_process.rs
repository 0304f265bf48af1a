//! One process: examples of the crates print a JSON line `{"name":…,"value":…}` for each figure.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::figure::Figures;
use crate::command::{output, quietly};
use crate::compiler;
use crate::layout::Layout;

/// An example, and which of the figures that it prints are taken, by which name.
struct Example {
    package: &'static str,
    name: &'static str,
    arguments: &'static [&'static str],
    figures: &'static [(&'static str, &'static str)],
}

/// Of what is timed the best pass is taken: whatever disturbs a pass only adds to it.
const EXAMPLES: &[Example] = &[
    Example {
        package: "namewarden-agent",
        name: "bench_screen",
        arguments: &["--huge"],
        figures: &[
            ("screen_query_min", "screen_query"),
            ("screen_answer_min", "screen_answer"),
            ("set_resident", "set_bytes_per_domain"),
            ("set_load_min", "set_load_1m"),
            ("set_load_10m_min", "set_load_10m"),
        ],
    },
    Example {
        package: "namewarden-protocol",
        name: "feed_speed",
        arguments: &[],
        figures: &[("feed_parse_1m", "feed_parse_1m")],
    },
    Example {
        package: "namewarden-protocol",
        name: "wire_speed",
        arguments: &[],
        figures: &[
            ("publish_1m", "publish_1m"),
            ("publish_10m", "publish_10m"),
            ("publish_10m_peak", "publish_10m_peak"),
            ("wire_full", "wire_full"),
            ("wire_full_apply", "wire_full_apply"),
            ("wire_delta", "wire_delta"),
            ("wire_delta_make", "wire_delta_make"),
            ("wire_delta_apply", "wire_delta_apply"),
        ],
    },
    Example {
        package: "namewarden-agent",
        name: "sink_speed",
        arguments: &[],
        figures: &[("document_json", "document_json"), ("sink_rate", "sink_rate")],
    },
];

/// The embedded store of the controller, with a million documents.
const STORE: &[Example] = &[Example {
    package: "namewarden-controller",
    name: "store",
    arguments: &[],
    figures: &[
        ("store_append", "store_append"),
        ("store_page", "store_page"),
        ("store_histogram_day", "store_histogram_day"),
        ("store_histogram", "store_histogram"),
        ("store_top_day", "store_top_day"),
        ("store_top", "store_top"),
        ("store_bytes", "store_bytes"),
    ],
}];

#[derive(Deserialize)]
struct Line {
    name: String,
    value: f64,
}

/// Builds and runs the examples as the shipped binary is built: musl, mimalloc, optimised over all crates.
pub fn measure(layout: &Layout, figures: &mut Figures) -> Result<()> {
    printed(layout, EXAMPLES, figures)
}

/// Likewise, of the embedded store: it takes 6 GB in the folder for temporary files.
pub fn measure_store(layout: &Layout, figures: &mut Figures) -> Result<()> {
    printed(layout, STORE, figures)
}

fn printed(layout: &Layout, examples: &[Example], figures: &mut Figures) -> Result<()> {
    for Example { package, name, arguments, figures: printed } in examples {
        let program = example(layout, package, name)?;
        let text = output(compiler::bare(program).args(*arguments))?;
        for (from, to) in *printed {
            let value = value(&text, from)?.with_context(|| format!("{name} printed no {from}"))?;
            figures.add(to, value)?;
        }
    }
    Ok(())
}

/// Runs an example and reads one figure that it prints.
pub fn printed_value(program: &Path, arguments: &[&str], name: &str) -> Result<f64> {
    let text = output(compiler::bare(program).args(arguments))?;
    value(&text, name)?.with_context(|| format!("{} printed no {name}", program.display()))
}

/// Builds an example of a package as the shipped binaries are built; its path.
pub fn example(layout: &Layout, package: &str, name: &str) -> Result<PathBuf> {
    let target = compiler::static_target();
    let mut cargo = compiler::user_cargo(layout, "build");
    cargo.args(["--release", "--target", &target, "--package", package, "--example", name]);
    cargo.env(format!("CC_{}", target.replace('-', "_")), "musl-gcc");
    let log = layout.target.join("xtask/bench-build.log");
    quietly(&format!("bench: building {name}"), &mut cargo, &log)?;
    Ok(layout.target.join(&target).join("release/examples").join(name))
}

/// The value that stands beside `name` in lines of JSON; other lines are for people.
fn value(printed: &str, name: &str) -> Result<Option<f64>> {
    for line in printed.lines().filter(|line| line.starts_with('{')) {
        let line: Line = serde_json::from_str(line).with_context(|| format!("no figure: {line}"))?;
        if line.name == name {
            return Ok(Some(line.value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_name() {
        let printed =
            "for people\n{\"name\":\"a\",\"value\":1.5}\n{\"name\":\"b\",\"value\":2,\"unit\":\"ns\"}\n";
        assert_eq!(value(printed, "b").unwrap(), Some(2.0));
        assert_eq!(value(printed, "c").unwrap(), None);
    }
}
