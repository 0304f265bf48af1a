//! Where documents go, and how they look, as used.

use anyhow::Context as _;

use crate::args::{OutputArgs, OutputFormat, RotationArgs};
use crate::pipeline::sink::{self, Rotation, Style, Target};

/// Where documents go; looks whether standard output is a terminal.
pub fn sink(arguments: &OutputArgs) -> anyhow::Result<sink::Settings> {
    let dns_logs = match arguments.dns_logs.as_str() {
        "off" => None,
        target => Some(target.parse::<Target>().context("--dns-logs")?),
    };
    Ok(sink::Settings {
        alerts: arguments.alerts.parse().context("--alerts")?,
        dns_logs,
        style: match arguments.format {
            OutputFormat::Auto => Style::of_terminal(),
            OutputFormat::Text => Style::readable(),
            OutputFormat::Json => Style::Json,
        },
        rotation: rotation(&arguments.rotation),
        capacity: sink::Settings::CAPACITY,
        search: None,
    })
}

fn rotation(arguments: &RotationArgs) -> Option<Rotation> {
    let RotationArgs { rotate_mib, rotate_files } = arguments;
    (*rotate_mib > 0).then(|| Rotation { bytes: rotate_mib << 20, files: *rotate_files })
}
