//! Every map, with who writes it and who reads it, and the constants that user space sets at load.

use core::ptr;

use aya_ebpf::{
    Global,
    btf_maps::{Array, LruHashMap, PerCpuArray, RingBuf, SkStorage},
    macros::btf_map,
};
use namewarden_agent_common::{
    counters::{COUNTER_COUNT, Counter},
    pace::Pace,
    record::RecordHeader,
    settings::{FLOWS_MAX, Flow, MUTED_MAX, PORT_WORDS, port_bit},
};

use crate::owner::Owner;

/// Records. Written by the packet hooks, read by user space (`pipeline/capture`). User space sets its size.
#[btf_map]
pub static RING: RingBuf<RecordHeader, { 2 << 20 }> = RingBuf::new();

/// Counters but those in `PACES`. Written by all hooks, read by user space. Atomic: an ingress run interrupts an egress
/// run on its CPU.
#[btf_map]
static COUNTERS: PerCpuArray<u64, { COUNTER_COUNT as usize }> = PerCpuArray::new();

/// Pace of each CPU, where lost updates do no harm, and the counters of most packets, which are atomic. Written and read by
/// the packet hooks, the counters read by user space.
#[btf_map]
static PACES: PerCpuArray<Pace, 1> = PerCpuArray::new();

/// Port set, one bit a port. Written by user space, read by all hooks.
#[btf_map]
static PORT_SET: Array<u64, PORT_WORDS> = Array::new();

/// Owner and mark of a socket. Written by `owner` (and `select` for raw sockets), read by the packet hooks.
#[btf_map]
pub static OWNERS: SkStorage<Owner> = SkStorage::new();

/// Budget of a socket, made when its CPU is busy only. Written and read by `budget`.
#[btf_map]
pub static SOCKET_FLOWS: SkStorage<Flow> = SkStorage::new();

/// Budget of a cgroup by its id, made when a CPU is busy only. Written by `budget`, read by it and by user space.
#[btf_map]
pub static CGROUP_FLOWS: LruHashMap<u64, Flow, FLOWS_MAX> = LruHashMap::new();

/// Cookies of muted TCP streams. Written by user space, read by `select`.
#[btf_map]
static MUTED: LruHashMap<u64, u32, MUTED_MAX> = LruHashMap::new();

/// Whether `MUTED` was ever written to. Written by user space, read by `select`.
#[btf_map]
static MUTING: Array<u32, 1> = Array::new();

/// The words of `PORT_SET`, one laid over the other. In a section that user space may write to while the hooks run; the others
/// are frozen.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data")]
pub static PORT_FILTER: Global<u64> = Global::new(u64::MAX);
/// Capture the server's side of an exchange, too.
#[unsafe(no_mangle)]
pub static SERVER_SIDE: Global<u8> = Global::new(0);
/// Read the names of threads: some kernels offer the helper only to a loader with `CAP_PERFMON`.
#[unsafe(no_mangle)]
pub static THREAD_NAMES: Global<u8> = Global::new(0);
/// User space is woken at each multiple of this power of two of bytes that wait.
#[unsafe(no_mangle)]
pub static WAKE_SHIFT: Global<u64> = Global::new(16);
/// A CPU looks how much waits at each multiple of this power of two of bytes that it wrote.
#[unsafe(no_mangle)]
pub static LOOK_SHIFT: Global<u64> = Global::new(15);
/// Budgets are smaller while so many bytes wait.
#[unsafe(no_mangle)]
pub static PRESSURE_BYTES: Global<u64> = Global::new(1 << 20);
/// Records of a cgroup in a window.
#[unsafe(no_mangle)]
pub static BUDGET_RECORDS: Global<u64> = Global::new(u64::MAX);
/// Payload bytes of a cgroup in a window.
#[unsafe(no_mangle)]
pub static BUDGET_BYTES: Global<u64> = Global::new(u64::MAX);
/// Records of a CPU in a window from which on its cgroups' budgets are watched.
#[unsafe(no_mangle)]
pub static GATE_RECORDS: Global<u64> = Global::new(u64::MAX);
/// Payload bytes of a CPU in a window from which on its cgroups' budgets are watched.
#[unsafe(no_mangle)]
pub static GATE_BYTES: Global<u64> = Global::new(u64::MAX);

/// Adds one to a counter that is not in `PACES`: a function of its own, whose stack never held a pointer. Without
/// `CAP_PERFMON` the verifier refuses half a word where one was.
#[inline(never)]
pub fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter.index()) {
        add(slot, 1);
    }
}

/// Adds to a number in a map, as one atomic instruction without result: the oldest of the kernel's atomics.
#[inline(always)]
pub fn add(slot: *mut u64, amount: u64) {
    add_at::<0, _>(slot, amount);
}

/// Adds to the number `OFFSET` bytes into a map's value. The offset stands in the instruction: otherwise the compiler may
/// choose between two of them first and add it to the pointer, which the verifier refuses without `CAP_PERFMON`.
#[inline(always)]
pub fn add_at<const OFFSET: usize, T>(value: *mut T, amount: u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: map values are aligned to eight bytes and live as long as the program runs.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({value} + {offset}) += {amount}",
            value = in(reg) value,
            offset = const OFFSET,
            amount = in(reg) amount,
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = (value, amount);
}

/// The pace of this CPU.
#[inline(always)]
pub fn pace() -> Option<*mut Pace> {
    PACES.get_ptr_mut(0)
}

/// Whether the port (host byte order) is in the port set: most are refused without touching the map. The way of every DNS
/// packet: where the verifier allows it (`IN_PLACE`) it stands in its place, for a call is a cold line of code.
#[inline(always)]
pub fn in_port_set<const IN_PLACE: bool>(port: u16) -> bool {
    let (word, bit) = port_bit(port);
    let has_port = if IN_PLACE { has_port } else { has_port_apart };
    PORT_FILTER.load() & bit != 0 && has_port(word, bit)
}

#[inline(always)]
fn has_port(word: u32, bit: u64) -> bool {
    match PORT_SET.get(word) {
        Some(bits) => bits & bit != 0,
        None => false,
    }
}

/// The same in a function of its own, as `count` is and for its reason.
#[inline(never)]
fn has_port_apart(word: u32, bit: u64) -> bool {
    has_port(word, bit)
}

/// Whether user space muted the stream of this socket.
#[inline(always)]
pub fn is_muted<const IN_PLACE: bool>(cookie: impl FnOnce() -> u64) -> bool {
    let is_muting = if IN_PLACE { is_muting } else { is_muting_apart };
    is_muting() && MUTED.get_ptr(&cookie()).is_some()
}

/// Whether any stream is muted.
#[inline(always)]
fn is_muting() -> bool {
    matches!(MUTING.get(0), Some(&muting) if muting != 0)
}

/// The same in a function of its own, likewise.
#[inline(never)]
fn is_muting_apart() -> bool {
    is_muting()
}

/// The map as the helpers take it.
#[inline(always)]
pub fn raw<M>(map: &'static M) -> *mut core::ffi::c_void {
    ptr::from_ref(map).cast_mut().cast()
}
