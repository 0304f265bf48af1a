//! Address -> the pod that has it now, where that is one pod alone.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use crate::pipeline::attribute::pod::Pod;

/// UIDs of pods by the address that they call theirs. Two may for a moment: one that ends, and one that begins.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    uids: HashMap<IpAddr, BTreeSet<String>, ahash::RandomState>,
}

impl Addresses {
    /// The pod that alone has this address.
    pub fn uid(&self, address: IpAddr) -> Option<&str> {
        let uids = self.uids.get(&address)?;
        uids.first().filter(|_| uids.len() == 1).map(String::as_str)
    }

    /// A pod is there, with the address that it has.
    pub fn put(&mut self, pod: &Pod) {
        if let Some(ip) = pod.ip.filter(|_| pod.owns_ip) {
            self.uids.entry(ip.to_canonical()).or_default().insert(pod.uid.clone());
        }
    }

    /// A pod is gone, or what was known of it is replaced.
    pub fn remove(&mut self, pod: &Pod) {
        let Some(ip) = pod.ip.map(|ip| ip.to_canonical()) else { return };
        if let Some(uids) = self.uids.get_mut(&ip) {
            uids.remove(&pod.uid);
            if uids.is_empty() {
                self.uids.remove(&ip);
            }
        }
    }
}
