//! Path of a cgroup -> workload: every layout that kubelets, container runtimes and systemd are known to make.
//!
//! Takes the path below the root of its hierarchy, of cgroup v1 or v2. The outermost pod and its container win: what a
//! container makes below itself (a systemd, a nested runtime) is still that container.

use super::workload::{Driver, Found, Qos, Runtime, Workload};

/// Reads a path such as `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod….slice/cri-containerd-….scope`.
///
/// A path read through a cgroup namespace may begin with `..` segments; what is left of it is read all the same.
pub fn workload(path: &str) -> Workload {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let found = pod(&segments).or_else(|| lone_container(&segments)).unwrap_or_else(|| unit(&segments));
    Workload::of_path(format!("/{}", segments.join("/")), found)
}

/// The outermost pod, and the container right below it; none below `user.slice`, where any user may name folders.
fn pod(segments: &[&str]) -> Option<Found> {
    if segments.first() == Some(&"user.slice") {
        return None;
    }
    let (at, pod) = segments.iter().enumerate().find_map(|(at, segment)| Some((at, pod_of(segment)?)))?;
    let above = segments.get(..at).unwrap_or_default();
    let container =
        pod.inline.or_else(|| segments.get(at + 1).and_then(|segment| container_of(segment, true)));
    let (runtime, container_id) =
        container.map_or((None, None), |container| (container.runtime, Some(container.id)));
    Some(Found {
        container_id,
        pod_uid: Some(pod.uid),
        qos: pod.qos.or_else(|| qos_above(above)),
        runtime,
        driver: Some(pod.driver),
        unit: None,
    })
}

/// The outermost container that belongs to no pod.
fn lone_container(segments: &[&str]) -> Option<Found> {
    let (at, container) =
        segments.iter().enumerate().find_map(|(at, segment)| Some((at, container_of(segment, false)?)))?;
    let parent = at.checked_sub(1).and_then(|at| segments.get(at)).copied().unwrap_or_default();
    let runtime = container.runtime.or(match parent {
        "docker" => Some(Runtime::Docker),
        "libpod_parent" => Some(Runtime::Podman),
        _ => None,
    });
    let driver = if container.scope { Driver::Systemd } else { Driver::Cgroupfs };
    Some(Found { container_id: Some(container.id), runtime, driver: Some(driver), ..Found::default() })
}

/// The innermost service, scope or other unit; the innermost slice where there is none.
fn unit(segments: &[&str]) -> Found {
    const UNITS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    const SLICES: [&str; 1] = [".slice"];
    let innermost = |suffixes: &[&str]| {
        let named = |segment: &&&str| {
            suffixes.iter().any(|suffix| segment.strip_suffix(suffix).is_some_and(|name| !name.is_empty()))
        };
        segments.iter().rev().find(named).map(|segment| (*segment).to_owned())
    };
    let unit = innermost(&UNITS).or_else(|| innermost(&SLICES));
    Found { driver: unit.as_ref().map(|_| Driver::Systemd), unit, ..Found::default() }
}

struct PodSegment {
    uid: String,
    qos: Option<Qos>,
    driver: Driver,
    /// `<slice>:cri-containerd:<id>` names the container in the same segment.
    inline: Option<ContainerSegment>,
}

/// `kubepods-burstable-pod<uid>.slice`, `pod<uid>`, `kubepods-pod<uid>.slice:cri-containerd:<id>`.
fn pod_of(segment: &str) -> Option<PodSegment> {
    let (slice, rest) = segment.split_once(':').map_or((segment, None), |(slice, rest)| (slice, Some(rest)));
    let inline = rest.and_then(|rest| {
        let (prefix, id) = rest.split_once(':')?;
        Some(ContainerSegment { id: id.to_owned(), runtime: runtime_of(prefix), scope: false })
    });
    if let Some(name) = slice.strip_suffix(".slice") {
        let (parents, uid) = name.rsplit_once("-pod").or_else(|| Some(("", name.strip_prefix("pod")?)))?;
        let qos = qos_of_slice(parents);
        return pod_uid(uid).map(|uid| PodSegment { uid, qos, driver: Driver::Systemd, inline });
    }
    let uid = pod_uid(slice.strip_prefix("pod")?)?;
    Some(PodSegment { uid, qos: None, driver: Driver::Cgroupfs, inline })
}

/// A UUID (systemd escapes its dashes) or the 32 hexadecimal digits of a static pod.
fn pod_uid(text: &str) -> Option<String> {
    let uid = text.replace('_', "-");
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uuid =
        uid.len() == 36 && uid.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && uid.split('-').all(digits);
    let is_static = uid.len() == 32 && digits(&uid);
    (is_uuid || is_static).then_some(uid)
}

/// By the slices that a pod's slice names as its parents: `kubepods-burstable`, `kubelet-kubepods-besteffort`.
fn qos_of_slice(parents: &str) -> Option<Qos> {
    if parents.ends_with("-burstable") {
        Some(Qos::Burstable)
    } else if parents.ends_with("-besteffort") {
        Some(Qos::BestEffort)
    } else {
        parents.ends_with("kubepods").then_some(Qos::Guaranteed)
    }
}

/// By the folders above a pod's.
fn qos_above(above: &[&str]) -> Option<Qos> {
    match above.last().copied()? {
        "burstable" => Some(Qos::Burstable),
        "besteffort" => Some(Qos::BestEffort),
        parent => parent.ends_with("kubepods").then_some(Qos::Guaranteed),
    }
}

struct ContainerSegment {
    id: String,
    runtime: Option<Runtime>,
    scope: bool,
}

/// `cri-containerd-<id>.scope`, `crio-<id>`, `docker-<id>.scope`, `libpod-<id>.scope`, `<id>`; never a runtime's monitor
/// (`crio-conmon-<id>.scope`). Within a pod any plain hexadecimal folder of at least 32 digits is a container's.
fn container_of(segment: &str, in_pod: bool) -> Option<ContainerSegment> {
    let (name, scope) = segment.strip_suffix(".scope").map_or((segment, false), |name| (name, true));
    if let Some((prefix, id)) = name.rsplit_once('-')
        && let Some(runtime) = runtime_of(prefix)
    {
        return is_id(id, 12).then(|| ContainerSegment { id: id.to_owned(), runtime: Some(runtime), scope });
    }
    let shortest = if in_pod { 32 } else { 64 };
    is_id(name, shortest).then(|| ContainerSegment { id: name.to_owned(), runtime: None, scope })
}

fn runtime_of(prefix: &str) -> Option<Runtime> {
    match prefix {
        "cri-containerd" | "containerd" | "nerdctl" => Some(Runtime::Containerd),
        "crio" => Some(Runtime::CriO),
        "docker" => Some(Runtime::Docker),
        "libpod" => Some(Runtime::Podman),
        _ => None,
    }
}

/// Hexadecimal digits, at least `shortest` and at most 64 of them.
fn is_id(text: &str, shortest: usize) -> bool {
    (shortest..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
