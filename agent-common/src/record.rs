//! The ring-buffer record: one header, then `chunk_length` bytes of payload.
//!
//! A payload larger than the largest slot arrives in several records of the same packet: equal `time_boot_ns`,
//! `cpu`, `socket_cookie` and direction, ascending `chunk_offset`. User space puts them together again (UDP) or
//! treats each as a segment of its own (TCP, at sequence number plus offset).

/// Bumped with every change of the layout; both halves ship in one image, so a mismatch refuses to start.
pub const RECORD_VERSION: u16 = 1;

/// `RecordHeader::flags`: the packet leaves the socket (egress); otherwise it arrives (ingress).
pub const FLAG_EGRESS: u16 = 1 << 0;
/// `RecordHeader::flags`: seen at the server's side of the exchange (captured only by option).
pub const FLAG_SERVER: u16 = 1 << 1;
/// `RecordHeader::flags`: wanted because of its socket's mark, not because of a port in the port set.
pub const FLAG_MARKED: u16 = 1 << 2;
/// `RecordHeader::flags`: the owner fields were read from socket storage.
pub const FLAG_OWNER: u16 = 1 << 3;
/// `RecordHeader::flags`: the packet's payload goes on beyond what the kernel half copies (64 KiB); counted there.
pub const FLAG_TRUNCATED: u16 = 1 << 4;

/// `RecordHeader::flags`: the packet is the first of several IP fragments (raw sockets): its payload is only a part.
pub const FLAG_FRAGMENT: u16 = 1 << 5;

/// The largest payload of one packet that is copied, in bytes.
pub const PAYLOAD_MAX: u32 = 65_536;

/// Header of one record. Addresses and ports are in network byte order as on the wire; all else is native.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(
        Debug,
        PartialEq,
        Eq,
        zerocopy::FromBytes,
        zerocopy::IntoBytes,
        zerocopy::KnownLayout,
        zerocopy::Immutable
    )
)]
pub struct RecordHeader {
    /// `bpf_ktime_get_boot_ns` at the hook, nanoseconds.
    pub time_boot_ns: u64,
    /// `bpf_skb_cgroup_id`: inode of the cgroup that the socket was made in.
    pub cgroup_id: u64,
    /// Kernel's cookie of the socket, unique while the machine is up.
    pub socket_cookie: u64,
    /// cgroup of the task that last connected or sent on the socket; 0 when unknown.
    pub owner_cgroup_id: u64,
    /// Thread-group id (what user space calls pid) of that task; 0 when unknown.
    pub pid: u32,
    /// Its thread id; 0 when unknown.
    pub tid: u32,
    /// Name of the *thread*, NUL-padded; all zero when unknown.
    pub thread_name: [u8; 16],
    /// Source address; an IPv4 address stands in the first four bytes.
    pub source_address: [u8; 16],
    /// Destination address; an IPv4 address stands in the first four bytes.
    pub destination_address: [u8; 16],
    /// Source port, big-endian.
    pub source_port: [u8; 2],
    /// Destination port, big-endian.
    pub destination_port: [u8; 2],
    /// TCP sequence number as in the header (of the SYN itself where it is set), host order; 0 for UDP.
    pub tcp_sequence: u32,
    /// Bytes of payload that the packet holds in all (`skb->len` less headers).
    pub payload_length: u32,
    /// Where this record's payload starts in the packet's.
    pub chunk_offset: u32,
    /// Bytes of payload that follow this header.
    pub chunk_length: u32,
    /// CPU that the hook ran on.
    pub cpu: u32,
    /// `FLAG_*`.
    pub flags: u16,
    /// Size of one datagram where the packet holds several (`skb->gso_size`, `UDP_SEGMENT`, `UDP_GRO`); 0 otherwise.
    pub gso_size: u16,
    /// `RECORD_VERSION`.
    pub version: u16,
    /// 4 or 6.
    pub ip_version: u8,
    /// IANA protocol number: 17 UDP, 6 TCP.
    pub protocol: u8,
    /// TCP flags byte as on the wire (FIN 1, SYN 2, RST 4, PSH 8, ACK 16); 0 for UDP.
    pub tcp_flags: u8,
    /// Explicit padding, zero.
    pub reserved: [u8; 7],
}

const _: () = assert!(size_of::<RecordHeader>() == 128);
const _: () = assert!(align_of::<RecordHeader>() == 8);
