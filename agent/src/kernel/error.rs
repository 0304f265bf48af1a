//! Why the kernel half cannot run on this machine: one sentence each, with the remedy.

use std::{io, path::PathBuf};

/// What stands in the way.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Capabilities of this process.
    #[error(
        "the agent lacks {missing}; run it as root, or give it the capabilities BPF and NET_ADMIN (in Kubernetes: \
         securityContext.capabilities.add: [BPF, NET_ADMIN])"
    )]
    MissingCapability {
        /// The capabilities that are not there.
        missing: String,
    },
    /// Capabilities that do not count.
    #[error(
        "the agent runs in a user namespace, where its capabilities do not reach the kernel's BPF; run it outside of it \
         (in Kubernetes: hostUsers: true)"
    )]
    UserNamespace,
    /// Too old.
    #[error("kernel {release} is too old: the agent needs Linux 5.10 or newer")]
    OldKernel {
        /// As `uname -r` says it.
        release: String,
    },
    /// No type information.
    #[error(
        "this kernel has no BTF type information ({} is missing); use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as \
         the distributions' are, and mount /sys",
        .path.display()
    )]
    MissingBtf {
        /// Where it should be.
        path: PathBuf,
    },
    /// Below 5.11 maps count as locked memory.
    #[error(
        "the limit of locked memory is {limit} bytes, and kernel {release} counts the {needed} bytes of the agent's maps \
         against it; raise it (ulimit -l unlimited, or LimitMEMLOCK=infinity), or add the capability SYS_RESOURCE"
    )]
    LockedMemory {
        /// The limit now.
        limit: u64,
        /// What the maps take.
        needed: u64,
        /// As `uname -r` says it.
        release: String,
    },
    /// No cgroup2 anywhere.
    #[error(
        "no cgroup2 hierarchy is mounted; mount it (mount -t cgroup2 none /sys/fs/cgroup/unified), or in a container \
         mount the host's /sys/fs/cgroup"
    )]
    NoCgroup2,
    /// Only a part of it can be seen.
    #[error(
        "{} is only a part of the cgroup2 hierarchy (a cgroup namespace of its own), so other workloads would not be \
         seen; mount the host's /sys/fs/cgroup and name it with --cgroup-root",
        .path.display()
    )]
    PartOfCgroup2 {
        /// The mount that was found.
        path: PathBuf,
    },
    /// The option names something else.
    #[error("--cgroup-root {} is not a cgroup2 directory{hint}", .path.display())]
    NotCgroup2 {
        /// As given.
        path: PathBuf,
        /// Which one would be.
        hint: String,
    },
    /// The option names nothing.
    #[error("--cgroup-root {} cannot be opened ({reason}){hint}", .path.display())]
    CgroupRoot {
        /// As given.
        path: PathBuf,
        /// The kernel's answer.
        reason: io::Error,
        /// Which one would do.
        hint: String,
    },
    /// Ports of the port set.
    #[error("{reason}; the port set takes 1 to 16 different ports from 1 to 65535")]
    Ports {
        /// What is wrong with them.
        reason: String,
    },
    /// Size of the ring buffer.
    #[error(
        "a ring buffer of {bytes} bytes is not possible; give a power of two from 65536 (64 KiB) to 1073741824 (1 GiB)"
    )]
    RingSize {
        /// As given.
        bytes: u32,
    },
    /// Budgets.
    #[error("a flood budget of {value} {unit} a second lets nothing through; give at least {least}")]
    Budget {
        /// As given.
        value: u64,
        /// Records or bytes.
        unit: &'static str,
        /// The least that is accepted.
        least: u64,
    },
    /// The kernel said no to the object.
    #[error("the kernel refused {what}: {reason}")]
    Refused {
        /// Program, map or object.
        what: String,
        /// Its answer, shortened.
        reason: String,
    },
    /// The kernel said no to a link.
    #[error(
        "{program} cannot be attached to {}: {reason}; another program may be attached there without sharing (see \
         bpftool cgroup tree)",
        .path.display()
    )]
    Attach {
        /// Name of the hook.
        program: &'static str,
        /// cgroup.
        path: PathBuf,
        /// Its answer, shortened.
        reason: String,
    },
    /// New cgroups would go unnoticed.
    #[error(
        "the cgroup tree cannot be watched: {reason}; raise the sysctls fs.inotify.max_user_instances and \
         fs.inotify.max_user_watches"
    )]
    Watch {
        /// The kernel's answer.
        reason: io::Error,
    },
    /// Something else of the machine.
    #[error("{what} failed: {reason}")]
    Machine {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
}

/// Characters of the kernel's answer that are shown; a verifier's log has thousands of lines.
const REASON_MAX: usize = 300;

/// How the lines begin that the verifier ends its log with.
const VERIFIER_STATISTICS: [&str; 3] = ["processed ", "verification time", "stack depth"];

/// The end of a long answer on one line: the verifier's reason stands there, before its statistics.
pub fn shorten(reason: &str) -> String {
    let telling = |line: &&str| {
        !line.trim().is_empty() && !VERIFIER_STATISTICS.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = reason.lines().filter(telling).collect();
    let text = match lines.as_slice() {
        [first, .., last] => format!("{} ... {}", first.trim(), last.trim()),
        [only] => only.trim().to_owned(),
        [] => String::new(),
    };
    let mut short: String = text.chars().take(REASON_MAX).collect();
    if text.chars().nth(REASON_MAX).is_some() {
        short.push_str("...");
    }
    short
}

/// An error and what caused it, on one line, shortened.
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    shorten(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_log_is_cut_to_its_first_and_last_telling_line() {
        let log = format!(
            "refused\n{}R2 is not a known constant\nverification time 9 usec\nstack depth 0+0\nprocessed 9 insns\n",
            "0: r1 = r2\n".repeat(4000)
        );
        assert_eq!(shorten(&log), "refused ... R2 is not a known constant");
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(shorten(&"x".repeat(4000)).len(), REASON_MAX + 3);
    }
}
