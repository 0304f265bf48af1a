//! A disk that is full: what finds no place is counted, what found one arrives.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use namewarden_agent::pipeline::sink::{
    Remains,
    spool::{Kind as Lane, Limits},
};
use namewarden_protocol::{document::Action, search_engine};
use namewarden_tests::program;
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::wait;

use crate::relay::{Mode, Relay};
use crate::rig::{AMPLE, PATIENCE, Rig, closes, expect, ids, stream};

/// A small file system of its own, gone with this value.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(kib: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let place = folder.path().display().to_string();
        program::run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs", &place])?;
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = program::run("umount", &["--lazy", &self.path().display().to_string()]) {
            eprintln!("{error:#}");
        }
    }
}

#[test]
fn a_full_disk_costs_nothing_while_memory_lasts() -> Result<()> {
    let (engine, disk) = (SearchEngine::shared(Kind::OpenSearch)?, Disk::of(512)?);
    let relay = Relay::to(engine.address())?;
    relay.turn(Mode::Away);
    let rig = Rig::open(&relay.url(), disk.path(), "disk")?;
    rig.write(Action::ListedName, 0..2000);
    wait::until("all came in", || {
        let counts = rig.lane(Lane::Alerts)?.counts;
        Ok((counts.appended == 2000).then_some(()))
    })?;
    let counts = rig.lane(Lane::Alerts)?.counts;
    ensure!(counts.memory_bytes > 0 && counts.bytes > counts.memory_bytes, "{counts:?}");
    relay.turn(Mode::Whole);
    let counts = rig.settled(2000)?;
    ensure!(counts.acknowledged == 2000, "{counts:?}");
    expect(&engine, "disk", 0..2000)
}

#[test]
fn what_an_agent_leaves_in_its_spool_is_sent_by_another_one() -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(Kind::OpenSearch)?, tempfile::tempdir()?);
    let settings = |url: &str| {
        let streams = Lane::ALL.map(|kind| stream(kind, "left"));
        Rig::settings(search_engine::Settings::default(), url, folder.path(), AMPLE, streams)
    };
    ensure!(!Remains::are_in(folder.path()));
    let rig = Rig::open("http://127.0.0.1:9", folder.path(), "left")?;
    rig.write(Action::ListedName, 0..300);
    rig.sink.close(Duration::from_secs(10));
    ensure!(
        Remains::open(&settings(&engine.url())?, folder.path(), Remains::ALL).is_err(),
        "its agent has not ended"
    );
    drop(rig);
    ensure!(Remains::are_in(folder.path()));
    // A thread of the other one may have the spool a moment longer.
    let remains = wait::until("the spool is free", || {
        Ok(Remains::open(&settings(&engine.url())?, folder.path(), Remains::ALL).ok().flatten())
    })?;
    wait::within(PATIENCE, "all is sent", || Ok((remains.waiting() == 0).then_some(())))?;
    ensure!(remains.close(Instant::now() + Duration::from_secs(5)).0 == 0);
    ensure!(!Remains::are_in(folder.path()), "there is nothing to be looked for again");
    expect(&engine, "left", 0..300)
}

#[test]
fn what_a_limit_drops_is_counted_exactly() -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(Kind::OpenSearch)?, tempfile::tempdir()?);
    let relay = Relay::to(engine.address())?;
    relay.turn(Mode::Away);
    let limits = Limits { bytes: 1 << 20, age: Duration::from_hours(72) };
    let rig = Rig::limited(&relay.url(), folder.path(), "limit", limits)?;
    rig.write(Action::DnsLog, 0..600);
    rig.write(Action::ListedName, 0..500);
    wait::until("all came in", || {
        let counts = [rig.lane(Lane::Alerts)?.counts, rig.lane(Lane::Logs)?.counts];
        Ok((counts.map(|counts| counts.appended) == [500, 600]).then_some(()))
    })?;
    relay.turn(Mode::Whole);
    rig.settled(500)?;
    let logs = wait::until("every log is settled", || {
        Ok(Some(rig.lane(Lane::Logs)?.counts).filter(|counts| counts.waiting == 0))
    })?;
    closes(&logs)?;
    ensure!(logs.dropped_size > 0 && logs.acknowledged > 0, "{logs:?}");
    expect(&engine, "limit", 0..500)?;
    let found = ids(&engine, &stream(Lane::Logs, "limit"))?;
    ensure!(
        found.len() as u64 == logs.acknowledged && logs.acknowledged + logs.dropped_size == 600,
        "{logs:?}"
    );
    Ok(())
}
