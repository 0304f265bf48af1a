//! What the kernel half captures, as typed.

use std::path::PathBuf;

use clap::Args;

/// What the kernel half captures.
#[derive(Clone, Debug, Args)]
pub struct CaptureArgs {
    /// A port that DNS is spoken on. Repeatable, up to 16.
    #[arg(
        long = "dns-port",
        env = "NAMEWARDEN_DNS_PORTS",
        value_delimiter = ' ',
        default_value = "53",
        value_parser = clap::value_parser!(u16).range(1..),
        value_name = "PORT"
    )]
    pub dns_ports: Vec<u16>,

    /// Mount point of the cgroup2 hierarchy (default: found by itself, hybrid hierarchies too).
    #[arg(long, env = "NAMEWARDEN_CGROUP_ROOT", value_name = "DIR")]
    pub cgroup_root: Option<PathBuf>,

    /// Capture the server's side of exchanges too (a resolver's own clients).
    #[arg(long, env = "NAMEWARDEN_SERVER_SIDE")]
    pub server_side: bool,

    /// Size of the ring buffer in KiB, a power of two from 64 to 1048576.
    #[arg(long, env = "NAMEWARDEN_RING_KIB", default_value_t = 2048, value_name = "KIB")]
    pub ring_kib: u32,

    /// Log what goes wrong in the kernel half (costs a little on every such packet).
    #[arg(long, env = "NAMEWARDEN_KERNEL_LOG")]
    pub kernel_log: bool,
}
