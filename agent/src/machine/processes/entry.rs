//! The text of `/proc/<pid>/stat`, `/proc/<pid>/cgroup` and `/proc/<pid>/mountinfo` -> name, start, workload, container.

use crate::pipeline::attribute::cgroup_path;
use crate::pipeline::attribute::workload::{Kind, Workload};

/// Of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat<'t> {
    /// Field 2; none when empty.
    pub name: Option<&'t str>,
    /// Field 22: when the process started, clock ticks since the machine did.
    pub start_ticks: u64,
}

/// Reads `<pid> (<name>) <state> ...`; the name may hold anything, brackets, spaces and line ends too.
pub(super) fn stat(text: &str) -> Option<Stat<'_>> {
    let (_, rest) = text.split_once('(')?;
    let (name, fields) = rest.rsplit_once(')')?;
    // Field 3 is the first after the name.
    let start_ticks = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(Stat { name: Some(name).filter(|name| !name.is_empty()), start_ticks })
}

/// The workload that says most among all hierarchies of `/proc/<pid>/cgroup`: a container before a pod, a pod before a
/// unit, a unit before the host; of equals cgroup2's.
pub(super) fn workload(text: &str) -> Option<Workload> {
    let mut best: Option<(u8, Workload)> = None;
    for line in text.lines() {
        // `<number>:<controllers>:<path>`; cgroup2 has number 0 and no controllers.
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(_), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        let workload = cgroup_path::workload(path);
        let rank = 2 * worth(&workload) + u8::from(number == "0");
        if best.as_ref().is_none_or(|(best, _)| rank > *best) {
            best = Some((rank, workload));
        }
    }
    best.map(|(_, workload)| workload)
}

/// Folders of the kubelet whose content is the pods' own.
const VOLUMES: [&str; 2] = ["/volumes/", "/volume-subpaths/"];

/// Name of the pod's container whose mounts these are: the kubelet mounts a file of `pods/<uid>/containers/<name>/` into
/// each, for its last words (`terminationMessagePath`). `None` where there is none, or where two differ. What lies in a volume
/// may be called anything: it counts for nothing.
pub(super) fn container<'t>(text: &'t str, uid: &str) -> Option<&'t str> {
    let folder = format!("/pods/{uid}/containers/");
    let mut found = None;
    for line in text.lines() {
        // `<id> <parent> <device> <root> <mount point> …` (proc_pid_mountinfo(5)); a space is `\\040` there.
        let Some((before, path)) = line.split(' ').nth(3).and_then(|root| root.split_once(&folder)) else {
            continue;
        };
        if VOLUMES.iter().any(|volumes| before.contains(volumes)) {
            continue;
        }
        let Some((name, file)) = path.split_once('/') else { continue };
        if name.is_empty() || file.is_empty() || file.contains('/') {
            continue;
        }
        if found.is_some_and(|found| found != name) {
            return None;
        }
        found = Some(name);
    }
    found
}

fn worth(workload: &Workload) -> u8 {
    match (workload.kind(), &workload.unit) {
        (Kind::Container, _) => 4,
        (Kind::Pod, _) => 3,
        (Kind::Unit, Some(_)) => 2,
        // A folder of some controller of cgroup v1 is named by nobody in particular.
        (Kind::Unit, None) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn line(name: &str) -> String {
        format!("7 ({name}) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9000 100 184467")
    }

    #[test]
    fn name_and_start_are_read() {
        assert_eq!(stat(&line("curl")), Some(Stat { name: Some("curl"), start_ticks: 4242 }));
    }

    #[test]
    fn a_name_may_hold_brackets_and_spaces() {
        let read = stat(&line("a) S 1 (b")).map(|stat| (stat.name.map(str::to_owned), stat.start_ticks));
        assert_eq!(read, Some((Some("a) S 1 (b".to_owned()), 4242)));
    }

    #[test]
    fn a_line_that_ends_early_says_nothing() {
        assert_eq!(stat("7 (curl) S 1 7"), None);
        assert_eq!(stat(""), None);
    }

    #[test]
    fn a_pod_in_cgroup_v1_is_found_where_cgroup2_says_root() {
        let text = format!(
            "4:memory:/kubepods/pod1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9/{ID}\n1:name=systemd:/x.service\n0::/\n"
        );
        assert_eq!(workload(&text).unwrap().container_id.as_deref(), Some(ID));
    }

    #[test]
    fn cgroup2_wins_over_equals() {
        let text = "1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n";
        assert_eq!(workload(text).unwrap().unit.as_deref(), Some("b.service"));
    }

    #[test]
    fn a_unit_wins_over_a_nameless_folder() {
        let text = "3:cpu:/folder\n1:name=systemd:/system.slice/a.service\n0::/\n";
        assert_eq!(workload(text).unwrap().unit.as_deref(), Some("a.service"));
    }

    #[test]
    fn the_path_of_a_removed_cgroup_is_read() {
        let text = format!("0::/docker/{ID} (deleted)\n");
        assert_eq!(workload(&text).unwrap().path, format!("/docker/{ID}"));
    }

    #[test]
    fn a_container_is_named_by_the_file_for_its_last_words() {
        let uid = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";
        let line = |root: &str| {
            format!("812 790 254:1 {root} /dev/termination-log rw,relatime - ext4 /dev/vda1 rw\n")
        };
        let hosts = line(&format!("/var/lib/kubelet/pods/{uid}/etc-hosts"));
        let own = |name: &str| line(&format!("/var/lib/kubelet/pods/{uid}/containers/{name}/6f8a1c02"));
        assert_eq!(container(&format!("{hosts}{}", own("app")), uid), Some("app"));
        let elsewhere = line(&format!("/pods/{uid}/containers/app/6f8a1c02"));
        assert_eq!(
            container(&elsewhere, uid),
            Some("app"),
            "the kubelet's folder has a file system of its own"
        );
        assert_eq!(container(&own("app"), "2b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9"), None, "another pod's");
        assert_eq!(container(&format!("{}{}", own("app"), own("other")), uid), None, "two differ");
        assert_eq!(container(&hosts, uid), None);
        for volumes in ["volumes/kubernetes.io~empty-dir/data", "volume-subpaths/data/app/0"] {
            let made_up = format!("/var/lib/kubelet/pods/{uid}/{volumes}/pods/{uid}/containers/other/1");
            assert_eq!(container(&line(&made_up), uid), None, "what a pod keeps in a volume");
            assert_eq!(container(&format!("{}{}", line(&made_up), own("app")), uid), Some("app"));
        }
        let deeper = format!("/var/lib/kubelet/pods/{uid}/containers/other/1/2");
        assert_eq!(container(&line(&deeper), uid), None);
        assert_eq!(container("what", uid), None);
    }

    #[test]
    fn garbage_says_nothing() {
        assert_eq!(workload("what\n0:is\n"), None);
    }
}
