//! How the demo looks: a heading for each scene, one line for each client, one line of the controller's for each alert.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::script::{PODS, PUSHED, Step};
use super::stage::{Feed, Stage};

/// Width of the column with pod names.
const POD_WIDTH: usize = 10;

/// Width of the column with what a person would type.
const COMMAND_WIDTH: usize = 48;

/// Width of the column with the answer's address.
const ADDRESS_WIDTH: usize = 12;

/// Columns that a client's line takes with the longest remark of the script.
const WIDE: usize = INDENT + POD_WIDTH + COMMAND_WIDTH + ADDRESS_WIDTH + 28;

/// What a line of the controller's is indented by.
const INDENT: usize = 2;

/// Columns that a line of the controller's may take: the terminal's less the indent.
pub fn alert_columns() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let told = || crate::layout::set("COLUMNS")?.to_str()?.parse().ok();
    let columns = size.ok().map(|size| usize::from(size.ws_col)).or_else(told);
    columns.filter(|columns| *columns > 0).unwrap_or(112).saturating_sub(INDENT)
}

/// Writes to standard output, in colour on a terminal.
pub struct Screen {
    colour: bool,
    /// Who keeps the alerts.
    keeper: &'static str,
}

/// What was asked, and what the agent says it saw.
#[derive(Debug, PartialEq, Eq)]
pub struct Tally {
    /// Questions that the clients asked.
    asked: u64,
    /// DNS messages that the agent saw: each question and each answer.
    seen: u64,
    /// Alerts that it raised.
    alerts: u64,
    /// Alerts that should have come.
    due: u64,
    /// Alert groups that the controller keeps.
    kept: u64,
    /// Whatever it lost.
    lost: u64,
}

impl Tally {
    /// The agent's figures from its status document.
    pub fn read(status: &Value, asked: u64, due: u64, kept: u64) -> Self {
        let counter =
            |name: &str| status.pointer(&format!("/counters/{name}")).and_then(Value::as_u64).unwrap_or(0);
        let lost = status.get("loss").and_then(Value::as_object);
        Self {
            asked,
            due,
            kept,
            seen: counter("namewarden_screen_messages_total"),
            alerts: counter("namewarden_roll_up_first_total"),
            lost: lost.into_iter().flatten().filter_map(|(_, figure)| figure.as_u64()).sum(),
        }
    }

    /// Every question was seen, and its answer; every alert came and is kept; nothing was lost.
    pub fn adds_up(&self) -> bool {
        self.seen == 2 * self.asked && self.alerts == self.due && self.kept == self.alerts && self.lost == 0
    }
}

impl Screen {
    /// Colour where standard output is a terminal and the user did not refuse it (`NO_COLOR`).
    pub fn new(keeper: &'static str) -> Self {
        let refused = crate::layout::set("NO_COLOR").is_some();
        Self { colour: std::io::stdout().is_terminal() && !refused, keeper }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What stands on the stage.
    pub fn introduce(&self, stage: &Stage) {
        let others = if self.keeper == "the controller" { "" } else { "OpenSearch, " };
        let what = format!("Three pods, a DNS server, {others}the controller and the agent, on this machine");
        println!("\n{}", self.bold(&what));
        for (name, pod) in PODS.iter().zip(&stage.pods) {
            // The agent's lines name the container by the first digits of its id, as its runtime does.
            let container = pod.container.get(..12).unwrap_or_default();
            let name = self.paint("36", &format!("{name:POD_WIDTH$}"));
            println!("  {name}container {container}  {}", self.dim(&format!("pod {}", pod.uid)));
        }
        self.feeds(&stage.feeds);
    }

    /// What the controller has.
    fn feeds(&self, feeds: &[Feed]) {
        self.heading("Threat feeds of the controller");
        for feed in feeds {
            let name = self.paint("36", &format!("{:POD_WIDTH$}", feed.name));
            let location =
                if feed.location == "push" { "pushed, by whoever may" } else { feed.location.as_str() };
            let entries = match feed.entries {
                0 => "no entry".to_owned(),
                1 => "1 entry".to_owned(),
                many => format!("{many} entries"),
            };
            println!("  {name}{location:COMMAND_WIDTH$}{}", self.dim(&entries));
        }
    }

    /// Names that were pushed, and when the agent matched them.
    pub fn push(&self, names: &[&str], took: Duration) {
        let name = self.paint("36", &format!("{PUSHED:POD_WIDTH$}"));
        let domains = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let document = format!("PUT _doc/{PUSHED} {{\"domains\": [{domains}]}}");
        let took = self.dim(&format!("in use by the agent after {:.1} s", took.as_secs_f64()));
        println!("  {name}{}{took}", before_rest(&document, alert_columns() + INDENT));
    }

    /// The title of a scene.
    pub fn heading(&self, title: &str) {
        println!("\n{}", self.bold(title));
    }

    /// A client, the address that it got, and what is special about it.
    pub fn step(&self, step: &Step, said: &str) {
        let pod = PODS.get(step.pod).copied().unwrap_or_default();
        let pod = self.paint("36", &format!("{pod:POD_WIDTH$}"));
        let command = abbreviated(step.command);
        let address = said.split_whitespace().next().unwrap_or_default();
        let rest = self.dim(&format!("{address:ADDRESS_WIDTH$}{}", step.note));
        println!("  {pod}{}{rest}", before_rest(&command, alert_columns() + INDENT));
    }

    /// A line of the controller's.
    pub fn alert(&self, line: &str) {
        let mut line = line.to_owned();
        for word in ["high", "crit"] {
            line = line.replacen(&format!("  {word}  "), &format!("  {}  ", self.paint("1;31", word)), 1);
        }
        println!("  {line}");
    }

    /// What the controller keeps, the table's head first; nothing where there is nothing.
    pub fn events(&self, table: &str) {
        let mut lines = table.lines();
        let Some(head) = lines.next().filter(|_| table.lines().count() > 1) else { return };
        self.heading(&format!("What {} keeps: namewarden-controller events", self.keeper));
        println!("  {}", self.dim(head));
        for line in lines {
            self.alert(line);
        }
    }

    /// An alert that should have come.
    pub fn missing(&self) {
        println!("  {}", self.paint("1;31", "no alert came"));
    }

    /// How a person can ask, and push names.
    pub fn invite(&self, doors: &Path) {
        self.heading("Everything keeps running until Ctrl-C. From another terminal, ask in any of the pods:");
        println!("  {}", doors.join("cart dig pool.miner.example").display());
        println!("  {}", doors.join("worker curl http://www.paypa1.example/").display());
        println!("{}", self.bold("or push names to the controller, and ask for them:"));
        println!("  {}\n", doors.join("push c3.example c4.example").display());
    }

    /// The figures at the end.
    pub fn summary(&self, tally: &Tally, interrupted: bool) {
        self.heading(match (interrupted, tally.adds_up()) {
            (true, _) => "Stopped by Ctrl-C",
            (false, true) => "It adds up",
            (false, false) => "It does not add up",
        });
        println!("  {:>4} questions asked by the clients", tally.asked);
        println!("  {:>4} messages seen by the agent: each question and its answer", tally.seen);
        println!("  {:>4} alerts", tally.alerts);
        println!("  {:>4} of them kept by {}", tally.kept, self.keeper);
        println!("  {:>4} lost", tally.lost);
    }

    /// The last word.
    pub fn farewell(&self) {
        println!(
            "\n{}",
            self.dim("Agent, controller, pods, DNS server, namespaces and cgroups are removed.")
        );
    }
}

/// The command with what leads to the rest: its column, or in a narrow terminal the next line.
fn before_rest(command: &str, columns: usize) -> String {
    if columns < WIDE {
        return format!("{command}\n{:1$}", "", INDENT + POD_WIDTH);
    }
    format!("{command:COMMAND_WIDTH$}")
}

/// A command as a person would type it, without options that only shape its output.
fn abbreviated(command: &[&str]) -> String {
    match command {
        ["curl", .., url] => format!("curl {url}"),
        ["python3", "-c", code] => {
            let code = code.strip_prefix("import socket; print(socket.").unwrap_or(code);
            format!("python3 {}", code.strip_suffix(')').unwrap_or(code))
        }
        _ => command.iter().filter(|word| **word != "+short").copied().collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_has_the_rest_of_a_step_on_the_next_line() {
        assert_eq!(before_rest("dig rat.example", 80), "dig rat.example\n            ");
        assert_eq!(before_rest("dig rat.example", 120).len(), COMMAND_WIDTH);
    }

    #[test]
    fn figures_with_a_missing_answer_or_alert_do_not_add_up() {
        let whole = || Tally { asked: 3, seen: 6, alerts: 1, due: 1, kept: 1, lost: 0 };
        assert!(whole().adds_up());
        assert!(!Tally { seen: 5, ..whole() }.adds_up());
        assert!(!Tally { alerts: 0, ..whole() }.adds_up());
        assert!(!Tally { kept: 0, ..whole() }.adds_up());
        assert!(!Tally { lost: 1, ..whole() }.adds_up());
    }
}
