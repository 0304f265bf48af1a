//! The cluster's network: a namespace of its own, joined to the machine by one pair of links, and to nothing else.
//!
//! Pods are routed, not bridged: their packets pass conntrack both ways on every kernel, without a module for bridges.

use anyhow::{Context, Result};
use namewarden_tests::program;

use super::place::{NAMESPACE, Place, namespace};
use crate::command::output;

/// The node's address, of a block that no network has (RFC 2544): the API server is there.
pub const NODE: &str = "198.18.90.1";

/// The machine's end.
const MACHINE: &str = "198.18.90.2";

/// The link's name on the machine.
pub const LINK: &str = "nwcluster";

/// Addresses of pods.
pub const PODS: &str = "10.244.0.0/16";

/// Addresses of services.
pub const SERVICES: &str = "10.96.0.0/16";

/// The address of the cluster's DNS server.
pub const DNS: &str = "10.96.0.10";

/// Makes it.
pub fn make(place: &Place) -> Result<()> {
    let outside = format!(
        "netns add {NAMESPACE}\n\
         link add {LINK} type veth peer name eth0 netns {NAMESPACE}\n\
         address add {MACHINE}/30 dev {LINK}\n\
         link set {LINK} up\n"
    );
    program::feed("ip", &["-batch", "-"], &outside).context("cannot make the cluster's network")?;
    // Nothing leads out; an address of a service is turned into a pod's once it has found any way.
    let inside = format!(
        "address add {NODE}/30 dev eth0\n\
         link set lo up\n\
         link set eth0 up\n\
         route add {SERVICES} dev eth0\n\
         route add unreachable default\n"
    );
    program::feed("ip", &["-netns", NAMESPACE, "-batch", "-"], &inside)
        .context("cannot make the cluster's network")?;
    let mut forward = place.inside("sh".as_ref());
    output(forward.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]))?;
    Ok(())
}

/// Removes what is there of it.
pub fn remove() -> Result<()> {
    if namespace().exists() {
        program::run("ip", &["netns", "delete", NAMESPACE])?;
    }
    // A pair of links goes with either end, once the kernel has come to it.
    let is_there = std::path::Path::new("/sys/class/net").join(LINK).exists();
    if is_there {
        _ = program::run("ip", &["link", "delete", LINK]);
    }
    Ok(())
}
