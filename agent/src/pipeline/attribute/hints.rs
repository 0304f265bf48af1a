//! What is known of a pod by other means than its UID: the container by what its processes have mounted, the pod by the
//! client's address.
//!
//! The API server tells of a container's id about a second after the container began; whoever asks for a listed name at once
//! is named all the same. Looked for only where a listed name was found.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::pod::{Pod, Pods};
use super::{Attributed, Attributor, Hints, Kind, Machine};
use crate::pipeline::packet::Timestamp;

/// Containers remembered.
const REMEMBERED: usize = 4_096;
/// That nothing says a container's name counts this long.
const UNKNOWN: Duration = Duration::from_secs(1);

/// What was found of a container's name.
#[derive(Clone, Debug)]
struct Found {
    since: Timestamp,
    name: Option<Arc<str>>,
}

impl Found {
    fn counts_at(&self, at: Timestamp) -> bool {
        self.name.is_some() || !self.since.has_passed(UNKNOWN, UNKNOWN, at)
    }
}

/// Container's id -> name, bounded.
#[derive(Debug, Default)]
pub(super) struct ContainerNames(HashMap<String, Found, ahash::RandomState>);

impl ContainerNames {
    fn get(&self, id: &str, at: Timestamp) -> Option<&Found> {
        self.0.get(id).filter(|found| found.counts_at(at))
    }

    fn put(&mut self, id: &str, found: Found) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(id) {
            self.0.clear();
        }
        self.0.insert(id.to_owned(), found);
    }
}

impl<M: Machine> Attributor<M> {
    /// Looks for what the pod's object does not say, or not yet.
    pub fn hints(&mut self, attributed: &Attributed, pods: &dyn Pods, at: Timestamp) -> Hints {
        if attributed.workload.kind() == Kind::Address {
            let address = attributed.workload.label().parse::<IpAddr>().ok();
            return Hints { pod_at: address.and_then(|address| pods.pod_at(address)), ..Hints::default() };
        }
        Hints { container: self.container(attributed, pods, at), ..Hints::default() }
    }

    fn container(&mut self, attributed: &Attributed, pods: &dyn Pods, at: Timestamp) -> Option<Arc<str>> {
        let (workload, pid) = (&attributed.workload, attributed.process.pid);
        let (uid, id) = (workload.pod_uid.as_deref()?, workload.container_id.as_deref()?);
        let is_told = |pod: Arc<Pod>| pod.container(id).is_some();
        if pid == 0 || !pods.is_asked() || pods.pod(uid).is_some_and(is_told) {
            return None;
        }
        if let Some(found) = self.names.get(id, at) {
            return found.name.clone();
        }
        // A socket may be handed on: only a process of this container says its name.
        let of_process = self.machine.process_cgroup(pid, at);
        let is_inside = of_process.is_some_and(|of_process| of_process.container_id.as_deref() == Some(id));
        let by_asker = if is_inside { self.machine.container_name(pid, uid, at) } else { None };
        let is_only = |pod: Arc<Pod>| pod.only_container().is_some();
        let name = match by_asker {
            // The object names the only one of a pod.
            None if !pods.pod(uid).is_some_and(is_only) => self.machine.name_of_container(id, uid),
            found => found,
        };
        self.names.put(id, Found { since: at, name: name.clone() });
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::pod::Container;
    use super::super::{Workload, cgroup_path};
    use super::*;
    use crate::pipeline::exchange::samples::{at, attributed, workload};

    /// Every process is in the container of this digit, which its mounts name; counts how often they were looked at.
    struct Mounts(char, Option<&'static str>, u32);

    impl Machine for Mounts {
        fn process_cgroup(&mut self, _: u32, _: Timestamp) -> Option<Arc<Workload>> {
            Some(workload(self.0))
        }

        fn container_name(&mut self, _: u32, _: &str, _: Timestamp) -> Option<Arc<str>> {
            self.2 += 1;
            self.1.map(Arc::from)
        }
    }

    /// Nobody who asked is there any more; something else in the container of this digit is.
    struct Others(char);

    impl Machine for Others {
        fn name_of_container(&mut self, id: &str, _: &str) -> Option<Arc<str>> {
            id.starts_with(self.0).then(|| "init".into())
        }
    }

    /// One pod, which alone has 10.1.2.3, and of whose containers that of digit `b` is told.
    #[derive(Debug)]
    struct OnePod;

    impl Pods for OnePod {
        fn pod(&self, _: &str) -> Option<Arc<Pod>> {
            let container = Container { id: "b".repeat(64), name: "told".into(), image: "i".into() };
            Some(Arc::new(Pod { uid: "u".into(), containers: vec![container], ..Pod::default() }))
        }

        fn pod_at(&self, address: IpAddr) -> Option<Arc<Pod>> {
            (address == IpAddr::from([10, 1, 2, 3])).then(|| self.pod("u")).flatten()
        }

        fn is_asked(&self) -> bool {
            true
        }
    }

    fn container(attributor: &mut Attributor<Mounts>, digit: char, milliseconds: u64) -> Option<String> {
        let hints = attributor.hints(&attributed(workload(digit)), &OnePod, at(milliseconds));
        hints.container.map(|name| name.to_string())
    }

    #[test]
    fn a_container_that_nobody_told_of_is_named_by_its_mounts_which_are_read_once() {
        let mut attributor = Attributor::new(Mounts('a', Some("app"), 0));
        assert_eq!(container(&mut attributor, 'a', 0).as_deref(), Some("app"));
        assert_eq!(container(&mut attributor, 'a', 60_000).as_deref(), Some("app"));
        assert_eq!(container(&mut attributor, 'b', 0), None, "the API server told of it");
        assert_eq!(attributor.machine.2, 1);
    }

    #[test]
    fn a_process_of_another_container_names_none() {
        let mut attributor = Attributor::new(Mounts('c', Some("other"), 0));
        assert_eq!((container(&mut attributor, 'a', 0), attributor.machine.2), (None, 0));
    }

    #[test]
    fn a_container_whose_asker_is_gone_is_named_by_what_else_runs_in_it() {
        let mut attributor = Attributor::new(Others('a'));
        let mut name = |digit| attributor.hints(&attributed(workload(digit)), &OnePod, at(0)).container;
        assert_eq!((name('a').as_deref(), name('c')), (Some("init"), None));
    }

    #[test]
    fn mounts_that_name_nobody_are_looked_at_again_after_a_while() {
        let mut attributor = Attributor::new(Mounts('a', None, 0));
        for milliseconds in [0, 500, 1_000] {
            assert_eq!(container(&mut attributor, 'a', milliseconds), None);
        }
        assert_eq!(attributor.machine.2, 2);
    }

    #[test]
    fn a_pod_is_known_by_its_address_where_nothing_else_is() {
        let mut attributor = Attributor::new(Mounts('a', None, 0));
        let mut pod_at = |workload: Workload| {
            attributor.hints(&attributed(Arc::new(workload)), &OnePod, at(0)).pod_at.is_some()
        };
        assert!(pod_at(Workload::address("10.1.2.3".parse().unwrap())));
        assert!(!pod_at(Workload::address("10.1.2.4".parse().unwrap())));
        assert!(!pod_at(cgroup_path::workload("/system.slice/a.service")));
    }
}
