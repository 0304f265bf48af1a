use super::super::workload::Kind;
use super::*;

const ID: &str = "3f1c2b9d8e7a60514233445566778899aabbccddeeff00112233445566778899";
const UID: &str = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";
const SLICE: &str = "1b2c3d4e_5f60_4718_8293_a4b5c6d7e8f9";
const STATIC: &str = "0123456789abcdef0123456789abcdef";

/// `kind container pod qos runtime driver unit`, `-` for what is not there; `ID`, `UID`, `SLICE`, `STATIC` stand for
/// the constants above in both.
fn read(path: &str) -> String {
    let path = path.replace("SLICE", SLICE).replace("UID", UID).replace("STATIC", STATIC).replace("ID", ID);
    let workload = workload(&path);
    let short = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let words = [
        format!("{:?}", workload.kind()).to_lowercase(),
        short(&workload.container_id),
        short(&workload.pod_uid),
        workload.qos.map_or("-", Qos::as_str).to_owned(),
        workload.runtime.map_or("-", Runtime::as_str).to_owned(),
        workload.driver.map_or("-".to_owned(), |driver| format!("{driver:?}").to_lowercase()),
        short(&workload.unit),
    ];
    words.join(" ").replace(ID, "ID").replace(UID, "UID").replace(STATIC, "STATIC")
}

fn check(table: &[(&str, &str)]) {
    for (path, expected) in table {
        assert_eq!(read(path), *expected, "{path}");
    }
}

#[test]
fn pods_of_the_systemd_driver_are_read() {
    check(&[
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope",
            "container ID UID burstable containerd systemd -",
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podSLICE.slice/crio-ID.scope",
            "container ID UID besteffort cri-o systemd -",
        ),
        (
            "/kubepods.slice/kubepods-podSLICE.slice/docker-ID.scope",
            "container ID UID guaranteed docker systemd -",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSTATIC.slice/cri-containerd-ID.scope",
            "container ID STATIC burstable containerd systemd -",
        ),
        (
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE.slice",
            "pod - UID burstable - systemd -",
        ),
        (
            "/kubepods.slice/kubepods-pod1B2C3D4E_5F60_4718_8293_A4B5C6D7E8F9.slice/crio-ID.scope",
            "container ID 1B2C3D4E-5F60-4718-8293-A4B5C6D7E8F9 guaranteed cri-o systemd -",
        ),
    ]);
}

#[test]
fn pods_of_the_cgroupfs_driver_are_read() {
    check(&[
        ("/kubepods/burstable/podUID/ID", "container ID UID burstable - cgroupfs -"),
        ("/kubepods/besteffort/podUID/ID", "container ID UID besteffort - cgroupfs -"),
        ("/kubepods/podUID/ID", "container ID UID guaranteed - cgroupfs -"),
        ("/kubepods/burstable/podSTATIC/ID", "container ID STATIC burstable - cgroupfs -"),
        ("/kubepods/burstable/podUID/crio-ID", "container ID UID burstable cri-o cgroupfs -"),
        ("/kubepods/burstable/podUID", "pod - UID burstable - cgroupfs -"),
        ("kubepods/podUID/ID/", "container ID UID guaranteed - cgroupfs -"),
    ]);
}

#[test]
fn a_monitor_of_the_runtime_is_its_pod_and_no_container() {
    check(&[
        ("/kubepods.slice/kubepods-podSLICE.slice/crio-conmon-ID.scope", "pod - UID guaranteed - systemd -"),
        ("/kubepods/podUID/crio-conmon-ID", "pod - UID guaranteed - cgroupfs -"),
        ("/machine.slice/libpod-conmon-ID.scope", "unit - - - - systemd libpod-conmon-ID.scope"),
    ]);
}

#[test]
fn what_a_container_makes_below_itself_is_still_that_container() {
    check(&[
        (
            "/kubepods.slice/kubepods-podSLICE.slice/cri-containerd-ID.scope/init.scope",
            "container ID UID guaranteed containerd systemd -",
        ),
        (
            "/kubepods.slice/kubepods-podSLICE.slice/crio-ID.scope/container/system.slice/cron.service",
            "container ID UID guaranteed cri-o systemd -",
        ),
        (
            "/kubepods/podUID/ID/docker/ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "container ID UID guaranteed - cgroupfs -",
        ),
        (
            "/docker/ID/docker/ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "container ID - - docker cgroupfs -",
        ),
    ]);
}

#[test]
fn a_node_that_is_itself_a_container_does_not_hide_its_pods() {
    check(&[
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/\
             kubelet-kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope",
            "container ID UID burstable containerd systemd -",
        ),
        (
            "/docker/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee/kubelet.slice/\
             kubelet-kubepods.slice/kubelet-kubepods-podSLICE.slice/cri-containerd-ID.scope",
            "container ID UID guaranteed containerd systemd -",
        ),
        (
            "/system.slice/docker-eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee.scope/\
             kubelet/kubepods/besteffort/podUID/ID",
            "container ID UID besteffort - cgroupfs -",
        ),
    ]);
}

#[test]
fn a_runtime_that_disagrees_with_the_kubelet_on_the_driver_is_read() {
    check(&[
        (
            "/system.slice/containerd.service/kubepods-burstable-podSLICE.slice:cri-containerd:ID",
            "container ID UID burstable containerd systemd -",
        ),
        ("/kubepods-podSLICE.slice:cri-containerd:ID", "container ID UID guaranteed containerd systemd -"),
    ]);
}

#[test]
fn a_path_seen_through_a_cgroup_namespace_is_read() {
    check(&[
        (
            "/../../kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope",
            "container ID UID burstable containerd systemd -",
        ),
        ("/../../..", "host - - - - - -"),
        ("/../../podUID/ID", "container ID UID - - cgroupfs -"),
        ("/../cri-containerd-ID.scope", "container ID - - containerd systemd -"),
    ]);
}

#[test]
fn containers_without_a_pod_are_read() {
    check(&[
        ("/docker/ID", "container ID - - docker cgroupfs -"),
        ("/system.slice/docker-ID.scope", "container ID - - docker systemd -"),
        ("/machine.slice/libpod-ID.scope/container", "container ID - - podman systemd -"),
        ("/libpod_parent/libpod-ID", "container ID - - podman cgroupfs -"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
            "container ID - - podman systemd -",
        ),
        ("/system.slice/nerdctl-ID.scope", "container ID - - containerd systemd -"),
        ("/ecs/0123456789abcdef0123456789abcdef/ID", "container ID - - - cgroupfs -"),
        ("/actions_job/ID", "container ID - - - cgroupfs -"),
    ]);
}

#[test]
fn units_of_systemd_are_named() {
    check(&[
        ("/system.slice/nginx.service", "unit - - - - systemd nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "unit - - - - systemd getty@tty1.service"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal-2211.scope",
            "unit - - - - systemd app-org.gnome.Terminal-2211.scope",
        ),
        ("/user.slice/user-1000.slice/session-3.scope", "unit - - - - systemd session-3.scope"),
        ("/init.scope", "unit - - - - systemd init.scope"),
        ("/system.slice/foo.service/payload/worker", "unit - - - - systemd foo.service"),
        ("/system.slice/docker.service", "unit - - - - systemd docker.service"),
        ("/user.slice/user-1000.slice", "unit - - - - systemd user-1000.slice"),
        ("/kubepods.slice/kubepods-burstable.slice", "unit - - - - systemd kubepods-burstable.slice"),
        ("/system.slice/dev-sda2.swap", "unit - - - - systemd dev-sda2.swap"),
    ]);
}

#[test]
fn other_cgroups_are_units_without_a_name() {
    check(&[
        ("/mine/deeper", "unit - - - - - -"),
        ("/lxc/web", "unit - - - - - -"),
        ("/pod/x", "unit - - - - - -"),
    ]);
}

#[test]
fn the_root_is_the_host() {
    check(&[("/", "host - - - - - -"), ("", "host - - - - - -")]);
}

#[test]
fn what_only_looks_like_a_pod_or_container_is_none() {
    check(&[
        ("/podman/x.scope", "unit - - - - systemd x.scope"),
        ("/system.slice/podUIDx.slice", "unit - - - - systemd podUIDx.slice"),
        ("/system.slice/docker-notahexnumber.scope", "unit - - - - systemd docker-notahexnumber.scope"),
        ("/system.slice/docker-.scope", "unit - - - - systemd docker-.scope"),
        ("/a/IDff", "unit - - - - - -"),
        ("/.service", "unit - - - - - -"),
        (
            "/user.slice/user-1000.slice/user@1000.service/kubepods/podUID",
            "unit - - - - systemd user@1000.service",
        ),
    ]);
}

#[test]
fn two_workloads_never_share_a_key_and_one_never_has_two() {
    let key = |path: &str| workload(&path.replace("UID", UID).replace("ID", ID)).key().to_owned();
    assert_eq!(key("/kubepods/podUID/ID"), key("/kubepods/podUID/ID/init.scope"));
    assert_eq!(key("/system.slice/foo.service"), key("/system.slice/foo.service/worker"));
    assert_ne!(key("/user.slice/user-1.slice/a.service"), key("/user.slice/user-2.slice/a.service"));
    assert_ne!(key("/mine/a"), key("/mine/b"));
    assert_eq!(key("/kubepods/podUID"), format!("pod/{UID}"));
    assert_eq!(key("/"), "host");
}

#[test]
fn hostile_paths_are_read_without_a_panic() {
    for path in [
        "//////",
        "/pod",
        "/-pod.slice",
        "/:::",
        "/a:b:c",
        "/é.slice/-podé.slice",
        "/crio-",
        "/\u{0}/..",
        "/.scope",
    ] {
        assert_ne!(workload(path).kind(), Kind::Container, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn any_path_is_read_and_read_the_same_again(
        segments in proptest::collection::vec(
            "(kubepods|pod|crio-|docker-|cri-containerd-|libpod-)?[-_:a-f0-9.]{0,70}(\\.slice|\\.scope|\\.service)?|[^/]{0,20}",
            0..8,
        ),
    ) {
        let once = workload(&segments.join("/"));
        assert_eq!(workload(&once.path), once);
        assert_eq!(once.kind() == Kind::Host, once.path == "/");
        assert_ne!(once.label(), "");
    }
}
