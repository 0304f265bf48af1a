//! What is pinned: toolchains, tools, Debian packages. A version is raised here and nowhere else.

/// Compiles everything that runs in user space.
pub const USER_TOOLCHAIN: &str = "1.99.1";

/// Compiles the kernel half: `-Z build-std` needs a nightly.
pub const BPF_TOOLCHAIN: &str = "nightly-2026-10-29";

/// Links the kernel half with the LLVM of [`BPF_TOOLCHAIN`].
pub const BPF_LINKER: &str = "0.13.0";

/// Checks licences, sources and bans.
pub const CARGO_DENY: &str = "0.20.2";

/// Debian's packages, each with a program by which it is known where there is no dpkg.
pub const PACKAGES: &[(&str, &str)] = &[
    ("bind9-dnsutils", "dig"),
    ("bpftool", "bpftool"),
    ("curl", "curl"),
    ("dnscap", "dnscap"),
    ("dnsperf", "dnsperf"),
    ("iproute2", "ip"),
    ("iptables", "iptables"),
    ("musl-tools", "musl-gcc"),
    ("nsd", "nsd"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("unbound", "unbound"),
];

/// What compiles and links for the other processor.
#[cfg(target_arch = "x86_64")]
pub const CROSS_PACKAGES: &[(&str, &str)] = &[("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc")];
#[cfg(not(target_arch = "x86_64"))]
pub const CROSS_PACKAGES: &[(&str, &str)] = &[("gcc-x86-64-linux-gnu", "x86_64-linux-gnu-gcc")];

/// What the suite `kernels` alone needs, likewise.
pub const EMULATOR: &[(&str, &str)] = &[("qemu-system-x86", "qemu-system-x86_64")];

/// Kernels that the agent is shown to work on, oldest first, with the release of Debian that has each.
pub const KERNELS: &[(&str, &str)] = &[
    ("5.10", "bullseye-security"),
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
    ("6.18", "trixie-backports"),
    ("newest", "sid"),
];

/// kube-apiserver and kubectl, for the tests against a real API server.
pub const KUBERNETES: &str = "1.36.3";

/// The store behind that API server.
pub const ETCD: &str = "3.7.3";

/// Runs containers for the kubelet.
pub const CONTAINERD: &str = "2.4.2";

/// Makes them.
pub const RUNC: &str = "1.5.2";

/// The cluster's DNS server.
pub const COREDNS: &str = "1.15.0";

/// Installs charts.
pub const HELM: &str = "3.22.0";

/// Go modules with definitions of other projects' kinds, the version of each without the `v`, and the files that are wanted.
pub const DEFINITIONS: &[(&str, &str, &[&str])] = &[
    (
        "github.com/prometheus-operator/prometheus-operator",
        "0.85.0",
        &[
            "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        ],
    ),
    (
        "github.com/cert-manager/cert-manager",
        "1.21.2",
        &["deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml"],
    ),
    (
        "github.com/openshift/api",
        "0.0.0-20251015095338-264e80a2b6e7",
        &["payload-manifests/crds/0000_03_config-operator_01_securitycontextconstraints.crd.yaml"],
    ),
];

/// What a node needs of Debian, likewise.
pub const NODE_PACKAGES: &[(&str, &str)] = &[
    ("busybox-static", "busybox"),
    ("conntrack", "conntrack"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("iptables", "iptables"),
    ("libseccomp-dev", "/usr/include/seccomp.h"),
    ("pkg-config", "pkg-config"),
];

/// Servers that the sink is tested against.
pub const OPENSEARCH: &str = "3.4.0";

/// A library that OpenSearch's security plugin needs, and that the server without modules lacks.
pub const COLLECTIONS: &str = "4.5.0";

/// The other one.
pub const ELASTICSEARCH: &str = "9.2.0";

/// The oldest Java that runs both.
pub const JAVA: u32 = 21;

/// The oldest Go that compiles both, as its version begins: 1.26.
pub const GO: (u32, u32) = (1, 26);
