//! UID -> names of a pod, also for a while after it is gone, bounded. Time is an argument.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addresses::Addresses;
use crate::pipeline::attribute::pod::Pod;

/// How long a pod is known after it is gone: its last packets may still be on their way.
const KEEP: Duration = Duration::from_mins(10);
/// Pods known at one time: many times what a node runs.
const POD_MAX: usize = 16_384;

#[derive(Debug)]
struct Known {
    pod: Arc<Pod>,
    gone: Option<Instant>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pods: HashMap<String, Known, ahash::RandomState>,
    /// What the kubelet calls static pods -> UIDs of the objects that mirror them, the latest last.
    hashes: HashMap<String, Vec<String>, ahash::RandomState>,
    /// Of pods that are there.
    addresses: Addresses,
    /// The oldest first; stale where the pod came back.
    gone: VecDeque<(Instant, String)>,
    evicted: u64,
}

impl Table {
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The pod that a cgroup's path calls so: by UID, or a static pod's hash.
    pub fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        let known = self.pods.get(uid).or_else(|| self.mirror(uid))?;
        Some(Arc::clone(&known.pod))
    }

    /// The mirror of a static pod: the one that is there, else the last that was; none where two say that they are.
    fn mirror(&self, hash: &str) -> Option<&Known> {
        let mut all = self.hashes.get(hash)?.iter().filter_map(|uid| self.pods.get(uid));
        let mut there = all.clone().filter(|known| known.gone.is_none());
        match (there.next(), there.next()) {
            (Some(known), None) => Some(known),
            (Some(_), Some(_)) => None,
            (None, _) => all.next_back(),
        }
    }

    /// The pod that is there and alone has this address.
    pub fn pod_at(&self, address: IpAddr) -> Option<Arc<Pod>> {
        self.pod(self.addresses.uid(address)?)
    }

    /// Every pod that is there.
    pub fn present(&self) -> Vec<Arc<Pod>> {
        self.pods.values().filter(|known| known.gone.is_none()).map(|known| Arc::clone(&known.pod)).collect()
    }

    /// A pod as it is now.
    pub fn put(&mut self, mut pod: Pod) {
        if let Some(before) = self.pods.get(&pod.uid) {
            keep_containers(&mut pod, &before.pod);
            self.addresses.remove(&before.pod);
            let before = Arc::clone(&before.pod);
            self.forget_mirror(&before);
        } else {
            self.make_room();
        }
        if let Some(hash) = &pod.static_hash {
            self.hashes.entry(hash.clone()).or_default().push(pod.uid.clone());
        }
        self.addresses.put(&pod);
        self.pods.insert(pod.uid.clone(), Known { pod: Arc::new(pod), gone: None });
    }

    /// A pod is gone.
    pub fn remove(&mut self, uid: &str, now: Instant) {
        if let Some(known) = self.pods.get_mut(uid).filter(|known| known.gone.is_none()) {
            known.gone = Some(now);
            self.addresses.remove(&known.pod);
            self.gone.push_back((now, uid.to_owned()));
        }
    }

    /// All pods that are there: those not among them are gone.
    pub fn retain(&mut self, there: &HashSet<String>, now: Instant) {
        let left: Vec<String> = self.pods.keys().filter(|uid| !there.contains(*uid)).cloned().collect();
        for uid in &left {
            self.remove(uid, now);
        }
    }

    /// Forgets the pods that went long enough ago.
    pub fn expire(&mut self, now: Instant) {
        while self.gone.front().is_some_and(|(gone, _)| now.saturating_duration_since(*gone) >= KEEP) {
            self.forget_oldest();
        }
    }

    fn make_room(&mut self) {
        while self.pods.len() >= POD_MAX && self.forget_oldest() {
            self.evicted += 1;
        }
    }

    /// Forgets the pod that has been gone the longest; false where there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((gone, uid)) = self.gone.pop_front() else { return false };
        if self.pods.get(&uid).is_some_and(|known| known.gone == Some(gone))
            && let Some(known) = self.pods.remove(&uid)
        {
            self.forget_mirror(&known.pod);
        }
        true
    }

    fn forget_mirror(&mut self, pod: &Pod) {
        let Some(hash) = &pod.static_hash else { return };
        if let Some(mirrors) = self.hashes.get_mut(hash) {
            mirrors.retain(|uid| *uid != pod.uid);
            if mirrors.is_empty() {
                self.hashes.remove(hash);
            }
        }
    }
}

/// Packets of a container that was restarted since may still come: its id stays known as long as its pod.
fn keep_containers(pod: &mut Pod, before: &Pod) {
    /// Restarts that are remembered.
    const CONTAINERS_MAX: usize = 64;
    for container in before.containers.iter().filter(|container| !container.id.is_empty()) {
        if pod.containers.len() < CONTAINERS_MAX && pod.container(&container.id).is_none() {
            pod.containers.push(container.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::attribute::pod::Container;

    fn pod(uid: &str, container: &str) -> Pod {
        let container = Container { id: container.into(), name: "app".into(), image: "image".into() };
        Pod { uid: uid.into(), name: format!("pod-{uid}"), containers: vec![container], ..Pod::default() }
    }

    #[test]
    fn a_pod_is_known_for_a_while_after_it_is_gone() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.put(pod("a", "1"));
        table.remove("a", now);
        table.expire(now + KEEP / 2);
        assert_eq!(table.pod("a").unwrap().name, "pod-a");
        assert_eq!(table.present(), []);
        table.expire(now + KEEP);
        assert!(table.pod("a").is_none());
    }

    #[test]
    fn a_pod_that_comes_back_stays() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.put(pod("a", "1"));
        table.remove("a", now);
        table.put(pod("a", "1"));
        table.expire(now + KEEP);
        assert!(table.pod("a").is_some());
    }

    #[test]
    fn what_a_list_does_not_name_is_gone() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.put(pod("a", "1"));
        table.put(pod("b", "2"));
        table.retain(&HashSet::from(["b".to_owned()]), now);
        assert_eq!(table.present().len(), 1);
        assert!(table.pod("a").is_some());
    }

    #[test]
    fn a_static_pod_is_found_by_its_hash_too() {
        let mut table = Table::default();
        table.put(Pod { static_hash: Some("hash".into()), ..pod("a", "1") });
        assert_eq!(table.pod("hash").unwrap().uid, "a");
    }

    #[test]
    fn a_mirror_that_is_made_anew_stays_when_the_one_before_is_forgotten() {
        let (mut table, now) = (Table::default(), Instant::now());
        let mirror = |uid: &str| Pod { static_hash: Some("hash".into()), ..pod(uid, "1") };
        let known = |table: &Table| table.pod("hash").map(|pod| pod.uid.clone());
        table.put(mirror("a"));
        table.remove("a", now);
        assert_eq!(known(&table).as_deref(), Some("a"), "the last one, where none is there");
        table.put(mirror("b"));
        assert_eq!(known(&table).as_deref(), Some("b"));
        table.expire(now + KEEP);
        assert_eq!(known(&table).as_deref(), Some("b"));
        table.put(mirror("c"));
        assert_eq!(known(&table), None, "two say that they mirror it");
    }

    #[test]
    fn an_address_leads_to_the_pod_that_alone_has_it_now() {
        let (mut table, now) = (Table::default(), Instant::now());
        let at = |uid: &str, ip: &str| Pod { ip: ip.parse().ok(), owns_ip: true, ..pod(uid, "1") };
        let address = "10.1.2.3".parse().unwrap();
        let there = |table: &Table| table.pod_at(address).map(|pod| pod.uid.clone());
        table.put(Pod { owns_ip: false, ..at("host", "10.1.2.3") });
        assert_eq!(there(&table), None, "an address of the node is no pod's");
        table.put(at("a", "10.1.2.3"));
        assert_eq!(there(&table).as_deref(), Some("a"));
        table.put(at("b", "10.1.2.3"));
        assert_eq!(there(&table), None, "two pods claim it");
        table.remove("a", now);
        assert_eq!(there(&table).as_deref(), Some("b"));
        table.put(at("b", "10.1.2.4"));
        assert_eq!(there(&table), None, "it moved");
    }

    #[test]
    fn the_container_before_a_restart_stays_known() {
        let mut table = Table::default();
        table.put(pod("a", "1"));
        table.put(pod("a", "2"));
        let known = table.pod("a").unwrap();
        assert!(known.container("1").is_some() && known.container("2").is_some());
    }

    #[test]
    fn room_is_made_by_those_that_are_gone() {
        let (mut table, now) = (Table::default(), Instant::now());
        for number in 0..POD_MAX {
            table.put(pod(&number.to_string(), "1"));
        }
        table.remove("0", now);
        table.put(pod("new", "1"));
        assert!(table.pod("0").is_none() && table.pod("new").is_some());
        assert_eq!((table.len(), table.evicted()), (POD_MAX, 1));
    }
}
