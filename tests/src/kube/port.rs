//! Ports of loopback that nobody else is given: below those that the kernel hands out, so that a port which is given up
//! for a restart is not taken by a connection meanwhile.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result};

use crate::node::random_bytes;

/// Where ports are looked for.
const PORTS: Range<u16> = 20_000..32_000;

/// Ports that are tried.
const TRIES: usize = 100;

/// Ports that this process gave out, never given twice.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Ports that nobody listens on.
pub fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let mut ports = [0; COUNT];
    for port in &mut ports {
        *port = one()?;
    }
    Ok(ports)
}

fn one() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..TRIES {
        // Where the search begins differs from process to process, so that two do not try the same one at once.
        let port = PORTS.start + u16::from_le_bytes(random_bytes()?) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && given.insert(port) {
            return Ok(port);
        }
    }
    None.with_context(|| format!("no free port from {} to {}", PORTS.start, PORTS.end))
}
