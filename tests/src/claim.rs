//! Names that say whose a thing is, so that what a killed run left behind is known and removed by the next one.

use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

/// What every name of ours begins with.
pub const PREFIX: &str = "nwt-";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A name of this process, `nwt-PID-START-NUMBER`, never given twice.
pub fn name() -> String {
    let pid = std::process::id();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{pid}-{}-{number}", start_time(pid).unwrap_or(0))
}

/// Whether `name` begins as one of a process that no longer runs.
pub fn is_orphan(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let mut parts = rest.split('-');
    let pid = parts.next().and_then(|part| part.parse::<u32>().ok());
    let started = parts.next().and_then(|part| part.parse::<u64>().ok());
    match (pid, started) {
        (Some(pid), Some(started)) => start_time(pid) != Some(started),
        _ => false,
    }
}

/// Clock ticks after boot at which process `pid` started (field 22 of `proc_pid_stat(5)`); none when it is gone.
pub fn start_time(pid: u32) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = line.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_living_process_made_is_no_orphan() {
        assert!(!is_orphan(&name()));
        assert!(!is_orphan(&format!("{}-host", name())));
    }

    #[test]
    fn what_an_earlier_process_of_the_same_pid_made_is_an_orphan() {
        assert!(is_orphan(&format!("{PREFIX}{}-1-0-kube", std::process::id())));
    }

    #[test]
    fn what_others_made_is_no_orphan() {
        assert!(!is_orphan("nwt-Xy12Zq"));
        assert!(!is_orphan("systemd-1-2-3"));
    }
}
