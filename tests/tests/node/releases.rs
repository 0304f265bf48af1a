//! Versions that follow each other, and installations that come and go: `helm upgrade`, `helm uninstall`, with the embedded store and
//! with a search engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use namewarden_tests::program;
use serde_json::Value;

use crate::{
    crowd::{Crowd, text},
    engine::Engine,
    installation::{Installation, chart, named, wait_for},
};

/// The version before the first one: the same programs under another name.
const BEFORE: &str = "0.0.9";

/// What the chart before had not got: a column of the definition.
const COLUMN: &str = "    - jsonPath: .status.rejected\n      name: Rejected\n      type: integer\n";

/// The chart's version.
fn version() -> Result<String> {
    let text = fs::read_to_string(chart().join("Chart.yaml"))?;
    let version = text.lines().find_map(|line| line.strip_prefix("version: "));
    Ok(version.context("no version")?.to_owned())
}

/// The chart as a version before would have it: its number, and a definition with a column less.
fn chart_before(installation: &Installation) -> Result<PathBuf> {
    let (folder, version) = (installation.folder("chart-before"), version()?);
    _ = fs::remove_dir_all(&folder);
    program::run("cp", &["-r", &chart().to_string_lossy(), &folder.to_string_lossy()])?;
    replace(&folder.join("Chart.yaml"), &version, BEFORE)?;
    for definition in fs::read_dir(folder.join("files/crds"))? {
        replace(&definition?.path(), COLUMN, "")?;
    }
    for image in ["agent", "controller"] {
        let name = |version: &str| format!("docker.io/library/namewarden-{image}:{version}");
        installation.tag_image(&name(&version), &name(BEFORE))?;
    }
    Ok(folder)
}

fn replace(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(path)?;
    ensure!(text.contains(from), "{} does not say {from:?}", path.display());
    Ok(fs::write(path, text.replace(from, to))?)
}

/// Whether the definition in the cluster has the column.
fn has_column(installation: &Installation) -> Result<bool> {
    let words = "get crd globalthreatfeeds.projectcalico.org --output";
    let columns = installation
        .kubectl(&format!("{words} jsonpath={{.spec.versions[*].additionalPrinterColumns[*].name}}"))?;
    Ok(columns.split(' ').any(|column| column == "Rejected"))
}

/// Image of the agent that runs alone.
fn image(installation: &Installation) -> Result<String> {
    let pods = installation.get("pods --namespace namewarden-agent")?;
    let [pod] = &pods[..] else { return Ok(String::new()) };
    Ok(text(pod, "/spec/containers/0/image").to_owned())
}

/// UIDs of the feeds, by name.
fn feeds(installation: &Installation) -> Result<BTreeMap<String, String>> {
    let feeds = installation.get("globalthreatfeeds")?;
    let own = |feed: &Value, path: &str| text(feed, path).to_owned();
    Ok(feeds.iter().map(|feed| (own(feed, "/metadata/name"), own(feed, "/metadata/uid"))).collect())
}

fn uninstall(installation: &Installation) -> Result<()> {
    installation.helm("uninstall namewarden --namespace namewarden --wait --timeout 240s").map(drop)
}

#[test]
fn an_upgrade_from_the_version_before_under_load_misses_nothing_and_brings_the_definition() -> Result<()> {
    let installation = Installation::turn()?;
    let version = version()?;
    let kept = feeds(&installation)?;
    uninstall(&installation)?;
    installation.put_chart("install", &chart_before(&installation)?, &Engine::values())?;
    ensure!(image(&installation)?.ends_with(BEFORE), "{}", image(&installation)?);
    ensure!(!has_column(&installation)?, "the version before has the column already");
    let crowd = Crowd::start(&installation, "upgraded", 40, 4)?;
    crowd.until_ended(1)?;
    let changed = "--set log.level=debug --set agent.ringKib=1024 --set dnsLogs.aggregation=every";
    installation.put_chart("upgrade", &chart(), &format!("{} {changed}", Engine::values()))?;
    wait_for("the agent before gone", || Ok(image(&installation)?.ends_with(&version)))?;
    ensure!(has_column(&installation)?, "the upgrade did not bring the definition");
    ensure!(feeds(&installation)? == kept, "feeds were made anew: {:?}, {kept:?}", feeds(&installation)?);
    let pods = crowd.ended()?;
    ensure!(pods.len() == 40, "{} pods", pods.len());
    crowd.alerts_once(&pods)?;
    installation.end()
}

/// Numbers of the programs that a process has loaded into the kernel.
fn programs(pid: u32) -> Result<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))?.filter_map(Result::ok) {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let number = text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u64>().ok());
        numbers.extend(number);
    }
    Ok(numbers)
}

#[test]
fn what_is_uninstalled_leaves_the_feeds_and_nothing_in_the_kernel_and_comes_back_with_either_store()
-> Result<()> {
    let installation = Installation::turn()?;
    let kept = feeds(&installation)?;
    let pods = installation.get("pods --namespace namewarden-agent")?;
    let id = pods.first().and_then(|pod| pod.pointer("/status/containerStatuses/0/containerID")?.as_str());
    let id = id.and_then(|id| id.strip_prefix("containerd://")).context("no container")?;
    let loaded = programs(crate::rights::process(id)?)?;
    ensure!(loaded.len() > 1, "the agent has loaded {loaded:?}");
    uninstall(&installation)?;
    let left = |number: &&u64| program::run("bpftool", &["prog", "show", "id", &number.to_string()]).is_ok();
    wait_for("programs gone", || Ok(!loaded.iter().any(|number| left(&number))))?;
    ensure!(kept.len() == 2 && feeds(&installation)? == kept, "{:?}, {kept:?}", feeds(&installation)?);
    if Path::new("/sys/fs/bpf/namewarden").exists() {
        bail!("something is pinned");
    }
    installation.put_chart("install", &chart(), "")?;
    installation
        .wait_for_alerts("an alert in the embedded store", |alerts| named(alerts).contains("probe"))?;
    installation.put_chart("upgrade", &chart(), &Engine::values())?;
    installation.wait_for_alerts("alerts in OpenSearch", |alerts| named(alerts).contains("probe"))?;
    installation.end()
}
