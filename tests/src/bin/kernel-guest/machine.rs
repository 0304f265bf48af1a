//! The machine: file systems, loopback, and its end, whatever happened.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot, sethostname},
};
use socket2::{Domain, Protocol, Socket, Type};

/// Where the cgroup2 tree is.
pub const CGROUPS: &str = "/sys/fs/cgroup";

const FILE_SYSTEMS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("cgroup2", CGROUPS)];

/// Netlink numbers (`linux/netlink.h`, `linux/rtnetlink.h`, `linux/if.h`).
const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
const RTM_NEWLINK: u16 = 16;
const REQUEST_AND_ACKNOWLEDGE: u16 = 0x01 | 0x04;
const IFF_UP: u32 = 1;

/// Loopback is the first device of every network namespace.
const LOOPBACK: u32 = 1;

/// Sets the machine up, does `work`, says what went wrong, switches the machine off.
pub fn live(work: impl FnOnce() -> Result<()>) -> Result<()> {
    if let Err(error) = set_up().and_then(|()| work()) {
        crate::proof::say("failed", &format!("the machine: {error:#}"));
    }
    crate::proof::say("end", "");
    std::io::stdout().flush()?;
    Ok(reboot(RebootCommand::PowerOff)?)
}

fn set_up() -> Result<()> {
    for (kind, place) in FILE_SYSTEMS {
        // sysfs has the folder of the cgroups already.
        if !Path::new(place).exists() {
            fs::create_dir_all(place)?;
        }
        mount(kind, place, kind, MountFlags::empty(), None)
            .with_context(|| format!("cannot mount {kind} at {place}"))?;
    }
    sethostname(b"guest")?;
    // Nobody else uses these addresses; looking for doubles delays the first IPv6 packet by a second.
    fs::write("/proc/sys/net/ipv6/conf/all/accept_dad", "0")?;
    loopback_up().context("cannot bring loopback up")
}

/// What `ip link set lo up` does: one message of the kind `RTM_NEWLINK`, and the kernel's answer.
fn loopback_up() -> Result<()> {
    let socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    // Sequence number and sender; then family, padding and type of the device, which the kernel does not look at.
    message.extend_from_slice(&[0; 12]);
    message.extend_from_slice(&LOOPBACK.to_ne_bytes());
    // The flags, and which of them change.
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    socket.send(&message)?;
    let mut answer = [std::mem::MaybeUninit::uninit(); 64];
    // The error number stands behind the header of 16 bytes: 0 where it went well.
    ensure!(socket.recv(&mut answer)? >= 20, "a short answer");
    ensure!(fs::read_to_string("/sys/class/net/lo/flags")?.trim() == "0x9", "it stays down");
    Ok(())
}
