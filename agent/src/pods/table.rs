//! UID -> names of a pod, also for a while after it is gone, bounded. Time is an argument.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addresses::Addresses;
use crate::pipeline::attribute::pod::{Claim, Life, Pod, Role};

/// How long a pod is known after it is gone: what closes an hour of its alerts names it once more.
const KEEP: Duration = Duration::from_mins(65);
/// Pods known at one time: many times what a node runs.
const POD_MAX: usize = 16_384;

#[derive(Debug)]
struct Known {
    pod: Arc<Pod>,
    life: Life,
    /// Where it stands among those of its kind of life: who came first makes room first.
    place: u64,
    gone: Option<Instant>,
}

/// Objects that say they mirror one static pod.
#[derive(Debug, Default)]
struct Mirrors {
    /// Those that are there, the best claim first.
    there: BTreeSet<(Claim, String)>,
    /// Those that went lately, likewise.
    gone: BTreeSet<(Claim, String)>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pods: HashMap<String, Known, ahash::RandomState>,
    /// What the kubelet calls static pods -> the objects that mirror them.
    mirrors: HashMap<String, Mirrors, ahash::RandomState>,
    /// Of pods that are there.
    addresses: Addresses,
    /// In which order pods make room: the deleted before the ended before those that never ran; running ones never do.
    order: BTreeSet<(Life, u64, String)>,
    places: u64,
    evicted: u64,
    refused: u64,
}

impl Table {
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Static pods that more than one object says it mirrors.
    pub fn contested(&self) -> usize {
        self.mirrors.values().filter(|mirrors| mirrors.there.len() > 1).count()
    }

    /// The pod that a cgroup's path calls so: by UID, or a static pod's hash.
    pub fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        match self.pods.get(uid) {
            Some(known) => Some(Arc::clone(&known.pod)),
            None => self.mirror(uid),
        }
    }

    /// The mirror of a static pod: of those that are there the one with the best claim, else of those that were.
    fn mirror(&self, hash: &str) -> Option<Arc<Pod>> {
        let mirrors = self.mirrors.get(hash)?;
        let (_, uid) = mirrors.there.first().or(mirrors.gone.first())?;
        let pod = &self.pods.get(uid)?.pod;
        if mirrors.there.len() < 2 {
            return Some(Arc::clone(pod));
        }
        // Nobody is left out by a name that is in doubt.
        Some(Arc::new(Pod { is_contested: true, role: Role::Watched, ..Pod::clone(pod) }))
    }

    /// The pod that is there and alone has this address.
    pub fn pod_at(&self, address: IpAddr) -> Option<Arc<Pod>> {
        self.pod(self.addresses.uid(address)?)
    }

    /// Every pod that is there.
    pub fn present(&self) -> Vec<Arc<Pod>> {
        self.pods.values().filter(|known| known.gone.is_none()).map(|known| Arc::clone(&known.pod)).collect()
    }

    /// A pod as it is now. One that finds no room is left out: no running pod makes any.
    pub fn put(&mut self, mut pod: Pod) {
        let mut place = None;
        if let Some(before) = self.take(&pod.uid) {
            keep_containers(&mut pod, &before.pod);
            place = (before.life == pod.life).then_some(before.place);
        } else if !self.make_room(pod.life) {
            self.refused += 1;
            return;
        }
        if let Some(hash) = &pod.static_hash {
            let mirrors = self.mirrors.entry(hash.clone()).or_default();
            mirrors.there.insert((pod.claim, pod.uid.clone()));
        }
        self.addresses.put(&pod);
        let place = place.unwrap_or_else(|| self.next_place());
        let life = pod.life;
        self.order.insert((life, place, pod.uid.clone()));
        self.pods.insert(pod.uid.clone(), Known { pod: Arc::new(pod), life, place, gone: None });
    }

    /// A pod is gone.
    pub fn remove(&mut self, uid: &str, now: Instant) {
        let place = self.next_place();
        let Some(known) = self.pods.get_mut(uid).filter(|known| known.gone.is_none()) else { return };
        self.order.remove(&(known.life, known.place, uid.to_owned()));
        (known.gone, known.life, known.place) = (Some(now), Life::Gone, place);
        self.order.insert((Life::Gone, place, uid.to_owned()));
        self.addresses.remove(&known.pod);
        if let Some(mirrors) = known.pod.static_hash.as_ref().and_then(|hash| self.mirrors.get_mut(hash)) {
            mirrors.gone.extend(mirrors.there.take(&(known.pod.claim, uid.to_owned())));
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
        while let Some((Life::Gone, _, uid)) = self.order.first() {
            let gone = self.pods.get(uid).and_then(|known| known.gone);
            if gone.is_some_and(|gone| now.saturating_duration_since(gone) < KEEP) {
                return;
            }
            let uid = uid.clone();
            self.take(&uid);
        }
    }

    /// Whether there is room for a pod of such a life, once those before it in order have made some.
    fn make_room(&mut self, life: Life) -> bool {
        while self.pods.len() >= POD_MAX {
            let first = self.order.first().filter(|(first, _, _)| *first < Life::Running && *first <= life);
            let Some((_, _, uid)) = first else { return false };
            let uid = uid.clone();
            self.take(&uid);
            self.evicted += 1;
        }
        true
    }

    /// Forgets a pod, wherever it is noted.
    fn take(&mut self, uid: &str) -> Option<Known> {
        let known = self.pods.remove(uid)?;
        self.order.remove(&(known.life, known.place, uid.to_owned()));
        if known.gone.is_none() {
            self.addresses.remove(&known.pod);
        }
        if let Some(hash) = &known.pod.static_hash
            && let Some(mirrors) = self.mirrors.get_mut(hash)
        {
            let claim = (known.pod.claim, uid.to_owned());
            mirrors.there.remove(&claim);
            mirrors.gone.remove(&claim);
            if mirrors.there.is_empty() && mirrors.gone.is_empty() {
                self.mirrors.remove(hash);
            }
        }
        Some(known)
    }

    fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
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
    fn a_pod_that_is_gone_is_named_when_the_hour_of_its_alerts_is_closed() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.put(pod("a", "1"));
        table.remove("a", now);
        // As long as a group can go on, and a wait for names behind it.
        table.expire(now + Duration::from_secs(3_600) + Duration::from_mins(2));
        assert!(table.pod("a").is_some());
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
    }

    #[test]
    fn of_two_that_say_they_mirror_a_pod_the_better_claim_is_believed_and_it_is_said() {
        let (mut table, now) = (Table::default(), Instant::now());
        let mirror = |uid: &str, is_unowned, created| Pod {
            static_hash: Some("hash".into()),
            claim: Claim { is_unowned, created },
            ..pod(uid, "1")
        };
        let known = |table: &Table| {
            let pod = table.pod("hash").unwrap();
            (pod.uid.clone(), pod.is_contested, table.contested())
        };
        table.put(mirror("true", false, 10));
        table.put(mirror("later", false, 11));
        table.put(mirror("unowned", true, 1));
        assert_eq!(known(&table), ("true".to_owned(), true, 1));
        // Whatever becomes of the forgers changes nothing.
        table.put(mirror("later", false, 11));
        table.remove("later", now);
        assert_eq!(known(&table), ("true".to_owned(), true, 1));
        table.remove("unowned", now);
        assert_eq!(known(&table), ("true".to_owned(), false, 0));
        table.remove("true", now);
        assert_eq!(known(&table), ("true".to_owned(), false, 0), "those that were, where none is there");
        // A forger who outlives it takes no name.
        table.put(mirror("true", false, 10));
        table.put(mirror("later", false, 11));
        for uid in ["true", "later"] {
            table.remove(uid, now);
        }
        assert_eq!(known(&table), ("true".to_owned(), false, 0));
        table.expire(now + KEEP);
        assert!(table.pod("hash").is_none() && table.mirrors.is_empty() && table.order.is_empty());
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

    #[test]
    fn a_flood_of_objects_costs_no_running_pod_its_name_and_no_memory() {
        let (mut table, now) = (Table::default(), Instant::now());
        let of = |uid: &str, life| Pod { life, ..pod(uid, "1") };
        table.put(of("running", Life::Running));
        table.put(of("ended", Life::Ended));
        table.put(of("gone", Life::Running));
        table.remove("gone", now);
        for number in 0..2 * POD_MAX {
            table.put(of(&format!("flood-{number}"), Life::Waiting));
            if number == POD_MAX - 3 {
                assert!(table.pod("gone").is_none() && table.pod("ended").is_some(), "the deleted first");
            }
        }
        assert_eq!(table.len(), POD_MAX);
        assert!(table.pod("running").is_some() && table.pod("ended").is_none());
        // One that begins to run finds room, though it found none before or lost it.
        table.put(of("flood-0", Life::Running));
        assert_eq!(table.pod("flood-0").unwrap().life, Life::Running);
        // Where all of them run there is none, and none makes any.
        for number in 0..POD_MAX {
            table.put(of(&format!("real-{number}"), Life::Running));
        }
        assert_eq!((table.len(), table.refused()), (POD_MAX, 2));
        table.put(of("late", Life::Ended));
        assert!(table.pod("late").is_none() && table.pod("running").is_some());
        assert_eq!(table.pods.len(), table.order.len());
    }
}
