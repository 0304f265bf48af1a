//! What the cluster's programs read: keys, users, settings. All of it is made anew for each cluster.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use namewarden_tests::{node::random_bytes, program};
use serde_json::json;

use super::network::{DNS, NODE, PODS};
use super::place::Place;
use crate::layout::Layout;
use crate::setup;

/// The node's name.
pub const NODE_NAME: &str = "node-1";

/// Who reaches the API server: the file's name, the user, the group.
const USERS: [(&str, &str, &str); 5] = [
    ("kubeconfig", "admin", "system:masters"),
    ("controller-manager.kubeconfig", "system:kube-controller-manager", ""),
    ("scheduler.kubeconfig", "system:kube-scheduler", ""),
    ("proxy.kubeconfig", "system:kube-proxy", ""),
    ("kubelet.kubeconfig", "system:node:node-1", "system:nodes"),
];

/// Folders that must be there.
const FOLDERS: [&str; 9] = [
    "bin",
    "log",
    "images",
    "cni",
    "certificates",
    "static-pods",
    "kubelet",
    "kubelet/volume-plugins",
    "pod-logs",
];

/// Writes all of it.
pub fn write(layout: &Layout, place: &Place) -> Result<()> {
    for folder in FOLDERS {
        let path = place.path(folder);
        fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    }
    // Keys and tokens are in it.
    fs::set_permissions(place.folder(), Permissions::from_mode(0o700))?;
    for (name, path) in setup::node_programs(layout)? {
        symlink(path, place.programs().join(name))?;
    }
    write_users(place)?;
    make_keys(place)?;
    fs::write(place.path("cni/10-pods.conflist"), network(place).to_string())?;
    fs::write(place.path("containerd.toml"), containerd(place))?;
    fs::write(place.path("kubelet.yaml"), kubelet(place).to_string())?;
    Ok(())
}

fn write_users(place: &Place) -> Result<()> {
    let mut tokens = Vec::new();
    for (file, user, group) in USERS {
        let token = data_encoding::HEXLOWER.encode(&random_bytes::<16>()?);
        tokens.push(format!("{token},{user},{user},\"{group}\"\n"));
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "namewarden",
            "clusters": [{ "name": "namewarden", "cluster": {
                "server": format!("https://{NODE}:6443"),
                "certificate-authority": place.path("certificates/apiserver.crt"),
            } }],
            "users": [{ "name": user, "user": { "token": token } }],
            "contexts": [{ "name": "namewarden", "context": { "cluster": "namewarden", "user": user } }],
        });
        write_secret(&place.path(file), &text.to_string())?;
    }
    write_secret(&place.path("tokens.csv"), &tokens.concat())
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o600))?)
}

/// What signs tokens of service accounts, and the certificate that the API server shows to the kubelet.
fn make_keys(place: &Place) -> Result<()> {
    let steps = [
        "ecparam -name prime256v1 -genkey -noout -out accounts.key",
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=namewarden-cluster \
         -keyout authority.key -out authority.crt",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:masters/CN=kube-apiserver \
         -keyout client.key -out client.req",
        "x509 -req -in client.req -CA authority.crt -CAkey authority.key -set_serial 1 -days 3650 -out client.crt",
    ];
    for step in steps {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(step.split_whitespace()).current_dir(place.folder());
        program::finish(&mut openssl)?;
    }
    Ok(())
}

/// How pods are joined to the node.
fn network(place: &Place) -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": super::place::NAMESPACE,
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": PODS }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
                "dataDir": place.path("cni-addresses"),
            },
        }],
    })
}

/// All of containerd in the cluster's folder: nothing of another one on this machine is touched.
fn containerd(place: &Place) -> String {
    let (root, state) = (place.text("containerd"), place.text("containerd-state"));
    let (cni, runc) = (place.text("cni"), place.text("bin/runc"));
    let (socket, runc_state, pause) = (place.socket(), place.text("runc"), super::images::PAUSE);
    format!(
        r#"version = 3
root = "{root}"
state = "{state}"

[grpc]
  address = "{socket}"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{pause}"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{cni}"
    use_internal_loopback = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      Root = "{runc_state}"
      SystemdCgroup = false
"#
    )
}

/// JSON is YAML.
fn kubelet(place: &Place) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": false },
            "x509": { "clientCAFile": place.path("authority.crt") },
        },
        "authorization": { "mode": "AlwaysAllow" },
        "address": NODE,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", super::stop::GROUP),
        "failCgroupV1": false,
        "failSwapOn": false,
        "containerRuntimeEndpoint": format!("unix://{}", place.socket()),
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": "/dev/null",
        "localStorageCapacityIsolation": false,
        // The disk is the machine's: how full it is, is no concern of the cluster.
        "evictionHard": { "memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%" },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 250,
        "podLogsDir": place.path("pod-logs"),
        "staticPodPath": place.path("static-pods"),
        "volumePluginDir": place.path("kubelet/volume-plugins"),
    })
}
