//! Can the kernel half run here at all? Asked before anything is loaded, so that the answer is a sentence and not an
//! error number.

use std::{fs, io, path::Path};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{error::KernelError, settings::KernelSettings};

const BTF: &str = "/sys/kernel/btf/vmlinux";
const STATUS: &str = "/proc/self/status";
const UID_MAP: &str = "/proc/self/uid_map";

/// Numbers of capabilities (`linux/capability.h`).
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BPF: u32 = 39;

const OLDEST: (u32, u32) = (5, 10);
/// From here on maps are accounted to the memory cgroup.
const NO_MEMLOCK: (u32, u32) = (5, 11);

/// Maps other than the ring buffer, with their programs, generously.
const OTHER_MAPS_BYTES: u64 = 4 << 20;

/// Kernel, capabilities, BTF, locked memory: in the order in which a remedy makes sense.
pub fn check(settings: &KernelSettings) -> Result<(), KernelError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let version = parse_release(&release);
    if version.is_some_and(|version| version < OLDEST) {
        return Err(KernelError::OldKernel { release });
    }
    check_capabilities(&read(STATUS)?)?;
    if fs::read_to_string(UID_MAP).is_ok_and(|map| !is_initial_namespace(&map)) {
        return Err(KernelError::UserNamespace);
    }
    if !Path::new(BTF).exists() {
        return Err(KernelError::MissingBtf { path: BTF.into() });
    }
    if version.is_some_and(|version| version < NO_MEMLOCK) {
        raise_memlock(settings, release)?;
    }
    Ok(())
}

fn read(path: &str) -> Result<String, KernelError> {
    fs::read_to_string(path)
        .map_err(|reason| KernelError::Machine { what: "reading /proc/self/status", reason })
}

/// `6.18.44-cloud-amd64` -> (6, 18); `None` for what is no number: then loading says it.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn check_capabilities(status: &str) -> Result<(), KernelError> {
    let Some(effective) = effective_capabilities(status) else { return Ok(()) };
    let has = |number: u32| effective >> number & 1 != 0;
    if has(CAP_SYS_ADMIN) {
        return Ok(());
    }
    let wanted = [(CAP_BPF, "CAP_BPF"), (CAP_NET_ADMIN, "CAP_NET_ADMIN")];
    let missing: Vec<&str> =
        wanted.iter().filter(|(number, _)| !has(*number)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(KernelError::MissingCapability { missing: missing.join(" and ") })
}

/// The mask after `CapEff:` (proc(5)).
fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The initial user namespace maps every id to itself (`user_namespaces(7)`).
fn is_initial_namespace(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn raise_memlock(settings: &KernelSettings, release: String) -> Result<(), KernelError> {
    let unlimited = Rlimit { current: None, maximum: None };
    if setrlimit(Resource::Memlock, unlimited).is_ok() {
        return Ok(());
    }
    let now = getrlimit(Resource::Memlock);
    let needed = u64::from(settings.ring_bytes) + OTHER_MAPS_BYTES;
    let Some(limit) = now.maximum.filter(|limit| *limit < needed) else {
        let most = Rlimit { current: now.maximum, maximum: now.maximum };
        return setrlimit(Resource::Memlock, most).map_err(|errno| KernelError::Machine {
            what: "raising the limit of locked memory",
            reason: io::Error::from(errno),
        });
    };
    Err(KernelError::LockedMemory { limit, needed, release })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        assert_eq!(parse_release("6.18.44"), Some((6, 18)));
        assert_eq!(parse_release("5.10.0-28-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse_release("5.4.0-150-generic"), Some((5, 4)));
        assert_eq!(parse_release("6.1-rc3"), Some((6, 1)));
        assert_eq!(parse_release("odd"), None);
    }

    #[test]
    fn five_nine_is_older_than_the_oldest() {
        assert!(parse_release("5.9.16") < Some(OLDEST));
        assert!(parse_release("5.10.1") >= Some(OLDEST));
    }

    #[test]
    fn missing_capabilities_are_named() {
        let status = "Name:\tx\nCapEff:\t0000000000001000\n";
        let sentence = check_capabilities(status).map_err(|error| error.to_string());
        assert!(sentence.is_err_and(|text| text.starts_with("the agent lacks CAP_BPF;")));
    }

    #[test]
    fn both_capabilities_are_enough() {
        let status = format!("CapEff:\t{:016x}\n", 1_u64 << CAP_BPF | 1 << CAP_NET_ADMIN);
        assert!(check_capabilities(&status).is_ok());
    }

    #[test]
    fn sys_admin_alone_is_enough() {
        assert!(check_capabilities(&format!("CapEff:\t{:016x}\n", 1_u64 << CAP_SYS_ADMIN)).is_ok());
    }

    #[test]
    fn a_mapped_user_namespace_is_not_the_initial_one() {
        assert!(is_initial_namespace("         0          0 4294967295\n"));
        assert!(!is_initial_namespace("         0     100000      65536\n"));
    }
}
