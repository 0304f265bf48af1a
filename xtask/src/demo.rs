//! The demo: three pods, a real DNS server, ordinary clients, the controller and the agent on this machine; every alert
//! as the controller has it.
//!
//! All of it lives in cgroups and network namespaces of its own. Nothing is left behind, also after Ctrl-C; what a
//! killed demo left is swept by the next one.

// Which client asks what, and what should come of it.
mod script;

// Pods, DNS server, a web server to reach, the controller and its feeds, the agent.
mod stage;

// How it looks on the terminal.
mod screen;

// The same on a whole cluster.
pub mod on_cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use namewarden_tests::search_engine;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::agent_binary::{self, Profile};
use crate::controller_binary;
use crate::layout::Layout;
use crate::setup::{self, Part};

use screen::{Screen, Tally};
use script::{SCENES, Step};
use stage::{Programs, Stage};

/// How long an alert may take before the demo goes on without it: it is sent, kept, and asked for.
const ALERT_PATIENCE: Duration = Duration::from_secs(10);

/// How often a wait looks whether Ctrl-C was pressed.
const TICK: Duration = Duration::from_millis(50);

/// What the demo is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave everything running until Ctrl-C, to ask for names by hand; a cluster stays until `cluster down`
    #[arg(long)]
    keep: bool,

    /// On a whole cluster of one node, with the chart: the first time its programs are built, for about twenty minutes
    #[arg(long, conflicts_with = "opensearch")]
    cluster: bool,

    /// Have alerts kept by a real OpenSearch, which is fetched by Maven, instead of the controller's own store
    #[arg(long)]
    opensearch: bool,
}

/// Sets up, builds agent and controller, and shows them at work.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the demo makes network namespaces and loads programs into the kernel: run `sudo --preserve-env cargo xtask demo`"
        );
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    if arguments.cluster {
        return on_cluster::run(layout, Profile::Fast, arguments.keep, &interrupted).map(drop);
    }
    let programs = Programs {
        agent: agent_binary::named_or_ready(layout, Profile::Fast)?,
        controller: controller_binary::named_or_ready(layout, Profile::Fast)?,
    };
    if arguments.opensearch {
        setup::ensure(layout, &[Part::Search])?;
        search_engine::provide(setup::search_variables(layout)?);
    }
    let screen = Screen::new(if arguments.opensearch { "OpenSearch" } else { "the controller" });
    let stage = Stage::build(layout, &programs, arguments.opensearch)?;
    screen.introduce(&stage);
    let mut show = Show { screen, stage, interrupted, lines: 1, asked: 0, due: 0 };
    show.play()?;
    if arguments.keep && !show.interrupted() {
        show.linger()?;
    }
    show.end()
}

/// The demo while it runs.
struct Show {
    screen: Screen,
    stage: Stage,
    interrupted: Arc<AtomicBool>,
    /// Lines of events that were shown, the head among them.
    lines: usize,
    /// Questions that the clients asked.
    asked: u64,
    /// Alerts that should have come.
    due: u64,
}

impl Show {
    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Every step of every scene, until Ctrl-C.
    fn play(&mut self) -> Result<()> {
        for scene in SCENES {
            self.screen.heading(scene.title);
            if !scene.push.is_empty() && !self.interrupted() {
                let took = self.stage.push(scene.push);
                if self.interrupted() {
                    return Ok(());
                }
                self.screen.push(scene.push, took?);
            }
            for step in scene.steps {
                if self.interrupted() {
                    return Ok(());
                }
                self.step(step)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let said = self.stage.ask(step);
        if self.interrupted() {
            return Ok(());
        }
        self.screen.step(step, &said?);
        self.asked += step.questions;
        self.due += u64::from(step.alerts);
        if step.alerts && !self.show_line(ALERT_PATIENCE) && !self.interrupted() {
            self.screen.missing();
        }
        Ok(())
    }

    /// Shows the next event when it comes within `patience`.
    fn show_line(&mut self, patience: Duration) -> bool {
        let mut left = patience;
        while !left.is_zero() && !self.interrupted() {
            if let Some(line) = self.stage.events.line(self.lines, TICK) {
                self.screen.alert(&line);
                self.lines += 1;
                return true;
            }
            left = left.saturating_sub(TICK);
        }
        false
    }

    /// Waits for Ctrl-C and shows what comes meanwhile.
    fn linger(&mut self) -> Result<()> {
        self.screen.invite(self.stage.doors()?);
        while !self.interrupted() {
            self.show_line(TICK);
        }
        Ok(())
    }

    /// The figures, once all that was asked is counted, or as they stand after `patience`.
    fn tally(&self, patience: Duration) -> Result<Tally> {
        let deadline = Instant::now() + patience;
        loop {
            let tally = Tally::read(&self.stage.agent.status()?, self.asked, self.due, self.stage.kept()?);
            if tally.adds_up() || Instant::now() >= deadline {
                return Ok(tally);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Adds up, stops the agent, which sends what it still had to say, and shows what the controller keeps.
    fn end(self) -> Result<()> {
        let by_hand = self.interrupted();
        let tally = self.tally(if by_hand { Duration::ZERO } else { ALERT_PATIENCE })?;
        let Stage { agent, controller, _engine, .. } = self.stage;
        let (_, log, _) = agent.end()?;
        self.screen.summary(&tally, by_hand);
        let events = controller.events(&[], screen::alert_columns())?;
        self.screen.events(&events);
        self.screen.farewell();
        if !by_hand && !tally.adds_up() {
            bail!("the figures do not add up; the agent's log:\n{log}");
        }
        Ok(())
    }
}
