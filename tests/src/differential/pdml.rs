//! Elements of tshark's PDML: one a line, nested. Read frame by frame; only what is asked for is kept.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::expected::{self, Frame};

/// An element: its attributes as far as they are used, and what it contains.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    /// For a person, with the field's label.
    pub(super) label: String,
    /// For a filter.
    pub(super) show: String,
    /// The field's bytes in hexadecimal.
    pub(super) value: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first field of this name, however deep.
    pub(super) fn find(&self, name: &str) -> Option<&Element> {
        self.children.iter().find_map(|child| if child.name == name { Some(child) } else { child.find(name) })
    }
}

/// The messages that tshark finds, as `replay` should print them.
pub(super) fn messages(capture: &Path) -> Result<Vec<Value>> {
    let mut command = Command::new("tshark");
    // Out of order is not the default of tshark; fragments and segments are put together by default.
    command
        .args([
            "-n",
            "-T",
            "pdml",
            "-J",
            "ip ipv6 udp tcp dns",
            "-o",
            "tcp.reassemble_out_of_order:TRUE",
            "-r",
        ])
        .arg(capture);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
    let mut messages = Vec::new();
    let mut open: Vec<Element> = Vec::new();
    let mut frame = Frame::default();
    // Text may hold line breaks, but `>` only as an entity.
    let mut tag = Vec::new();
    while output.read_until(b'>', &mut tag)? > 0 {
        let line = String::from_utf8_lossy(&tag);
        let line = line.trim();
        if line.starts_with("<packet>") {
            frame = Frame::default();
        } else if let Some(tag) = line.strip_prefix("<proto ").or_else(|| line.strip_prefix("<field ")) {
            let element = element(tag);
            if tag.ends_with("/>") {
                attach(&mut open, element);
            } else {
                open.push(element);
            }
        } else if line == "</field>" || line == "</proto>" {
            close(&mut open, &mut frame, &mut messages)?;
        }
        tag.clear();
    }
    // tshark says by its status that a capture was cut short; ours were not.
    ensure!(child.wait()?.success(), "tshark failed: {command:?}");
    Ok(messages)
}

/// Ends the innermost element: a part of the one around it, or a whole protocol.
fn close(open: &mut Vec<Element>, frame: &mut Frame, messages: &mut Vec<Value>) -> Result<()> {
    let Some(done) = open.pop() else { return Ok(()) };
    if open.is_empty() {
        messages.extend(expected::protocol(frame, &done)?);
    } else {
        attach(open, done);
    }
    Ok(())
}

fn attach(open: &mut [Element], element: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(element);
    }
}

fn element(tag: &str) -> Element {
    let mut element = Element::default();
    let mut rest = tag;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, after)) = after.split_once('"') else { break };
        rest = after;
        let slot = match name.trim() {
            "name" => &mut element.name,
            "showname" => &mut element.label,
            "show" => &mut element.show,
            "value" => &mut element.value,
            _ => continue,
        };
        *slot = unescaped(value);
    }
    element
}

fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}
