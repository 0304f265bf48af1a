//! Who owns the socket, and does it talk to a DNS port: written by the hooks that run in the task's own context (raw
//! socket made, connect, sendmsg), read back by the packet hook, which may run in anybody's.
//!
//! Storage is made only for a socket that has a DNS destination, and for raw sockets (about 300 bytes each): other
//! sockets cost nothing.

use core::{ptr, ptr::addr_of_mut};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    helpers::generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_socket_cookie,
        bpf_sk_fullsock, bpf_sk_storage_get, bpf_skb_cgroup_id,
    },
    programs::{SockAddrContext, SockContext},
};
use namewarden_agent_common::{counters::Counter, record::RecordHeader};

use crate::{
    maps::{OWNERS, THREAD_NAMES, count, in_port_set, raw},
    packet::Skb,
};

const SOCK_RAW: u32 = 3;

/// Mixed into the check word, so that an empty value has no valid owner.
const CHECK: u64 = 0x6e61_6d65_7761_7264;

/// What is stored with a socket.
#[repr(C)]
pub struct Owner {
    /// cgroup of the task.
    pub cgroup_id: u64,
    /// Process id in the upper half, thread id in the lower.
    pub pid_tgid: u64,
    /// Name of the thread.
    pub thread_name: [u64; 2],
    /// cgroup that the socket was made in, from its first packet on: it never changes.
    pub socket_cgroup_id: u64,
    /// The socket's cookie, likewise.
    pub socket_cookie: u64,
    /// The words of the task and `CHECK` combined: a value that two tasks wrote at once does not fit.
    pub check: u32,
    /// The socket's destination is a DNS port.
    pub marked: u8,
    /// No packet was seen since the task took the socket.
    pub fresh: u8,
    /// The hook of a child of the root saw this socket: the root's must keep away from it.
    pub seen_by_child: u8,
    /// It is a raw socket.
    pub raw: u8,
}

/// The kernel puts 8 bytes before a value: with them it fills one cache line.
const _: () = assert!(size_of::<Owner>() == 56);

/// Where a connect or sendmsg hook is attached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// At a first-level child of the cgroup root: before whatever rewrites destinations at the root.
    Child,
    /// At the root: for sockets of the root itself and of children that have just appeared.
    Root,
}

/// A raw socket was made: no other hook will see where it sends.
#[inline(always)]
pub fn created(ctx: &SockContext) {
    let sk = ctx.sock;
    // SAFETY: the kernel passes a valid socket.
    if unsafe { (*sk).type_ } != SOCK_RAW {
        return;
    }
    let owner = storage(sk, BPF_SK_STORAGE_GET_F_CREATE.into());
    if owner.is_null() {
        count(Counter::OwnerMissing);
        return;
    }
    // SAFETY: a storage value is valid while the program runs.
    unsafe { (*owner).raw = 1 };
    write(owner);
}

/// A task connects a socket or sends to an address: its destination sets or clears the mark.
///
/// A socket's cgroup never changes, and at every call the child's hook runs before the root's. So once a child's hook
/// has seen a socket, the root's has nothing to add: it would only see the port after others rewrote it.
#[inline(always)]
pub fn destined(ctx: &SockAddrContext, level: Level) {
    // SAFETY: the kernel passes a valid context.
    let (port, kind, sk) =
        unsafe { ((*ctx.sock_addr).user_port, (*ctx.sock_addr).type_, (*ctx.sock_addr).__bindgen_anon_1.sk) };
    let wanted = in_port_set::<false>(u16::from_be(port as u16));
    if sk.is_null() {
        return;
    }
    let flags = if wanted { BPF_SK_STORAGE_GET_F_CREATE } else { 0 };
    let owner = storage(sk, flags.into());
    if owner.is_null() {
        if wanted {
            count(Counter::OwnerMissing);
        }
        return;
    }
    // SAFETY: a storage value is valid while the program runs.
    unsafe {
        if level == Level::Root && (*owner).seen_by_child != 0 {
            return;
        }
        (*owner).marked = u8::from(wanted);
        // One that is older than the agent may be raw, too.
        (*owner).raw = u8::from(kind == SOCK_RAW);
        if level == Level::Child {
            (*owner).seen_by_child = 1;
        }
    }
    write(owner);
}

/// Marks a raw socket that sent to a DNS port. It looks the storage up itself, as `copy_owner_of` does and for its reason.
#[inline(never)]
pub fn mark(skb: *mut __sk_buff) {
    let sk = Skb::from(skb).socket();
    if sk.is_null() {
        return;
    }
    let owner = storage(sk, 0);
    if !owner.is_null() {
        // SAFETY: a storage value is valid while the program runs.
        unsafe { ptr::write_volatile(&raw mut (*owner).marked, 1) };
    }
}

#[inline(always)]
fn storage(sk: *mut bpf_sock, flags: u64) -> *mut Owner {
    // SAFETY: map and socket are valid; the value is the type that the map was defined with.
    unsafe { bpf_sk_storage_get(raw(&OWNERS), sk.cast(), ptr::null_mut(), flags) }.cast()
}

/// Writes the current task.
#[inline(always)]
fn write(owner: *mut Owner) {
    // SAFETY: a storage value is valid while the program runs; the helper writes 16 bytes at most.
    unsafe {
        let pid_tgid = bpf_get_current_pid_tgid();
        let cgroup_id = bpf_get_current_cgroup_id();
        if (*owner).pid_tgid != pid_tgid {
            (*owner).fresh = 1;
        }
        (*owner).pid_tgid = pid_tgid;
        (*owner).cgroup_id = cgroup_id;
        if THREAD_NAMES.load() != 0 {
            bpf_get_current_comm(addr_of_mut!((*owner).thread_name).cast(), 16);
        }
        let [first, second] = (*owner).thread_name;
        (*owner).check = check(cgroup_id, pid_tgid, first, second);
    }
}

/// The upper half of a product: each bit of the words may change it.
#[inline(always)]
fn check(cgroup_id: u64, pid_tgid: u64, first: u64, second: u64) -> u32 {
    let mixed = (cgroup_id ^ pid_tgid ^ first ^ second ^ CHECK).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

/// The socket of a packet.
#[derive(Clone, Copy)]
pub struct Socket {
    /// Its storage; null where nothing was stored, or the packet has no full socket.
    pub owner: *mut Owner,
    /// Its mark, read at once: 5.10 does not follow a null check that is merged with other conditions.
    marked: u8,
    /// Whether it was made as a raw socket while the agent ran, likewise.
    raw: u8,
    /// Whether a task has just taken it, likewise.
    fresh: u8,
}

impl Socket {
    /// The storage of a packet's socket: the one helper that every packet pays for.
    #[inline(always)]
    pub fn of(skb: &Skb) -> Self {
        let none = Self { owner: ptr::null_mut(), marked: 0, raw: 0, fresh: 0 };
        let sk = skb.socket();
        if sk.is_null() {
            return none;
        }
        // The helper itself refuses what is no full socket.
        let owner = storage(sk, 0);
        if owner.is_null() {
            return none;
        }
        // SAFETY: a storage value is valid while the program runs.
        let (marked, raw, fresh) = unsafe {
            (
                ptr::read_volatile(&raw const (*owner).marked),
                ptr::read_volatile(&raw const (*owner).raw),
                ptr::read_volatile(&raw const (*owner).fresh),
            )
        };
        Self { owner, marked, raw, fresh }
    }

    /// Whether its latest destination was a DNS port.
    #[inline(always)]
    pub fn is_marked(&self) -> bool {
        self.marked != 0
    }

    /// Whether something is stored with it. What comes from a DNS port to a socket that never had a DNS destination is
    /// no answer, and nobody shall make a workload's alerts by sending to it from port 53. A raw socket's destination
    /// no hook sees.
    #[inline(always)]
    pub fn is_known(&self) -> bool {
        !self.owner.is_null()
    }

    /// Whether it is a raw socket that was made while the agent ran.
    #[inline(always)]
    pub fn is_raw(&self) -> bool {
        self.raw != 0
    }

    /// Whether a task has just taken the socket.
    #[inline(always)]
    pub fn is_fresh(&self) -> bool {
        self.fresh != 0
    }

    /// Copies the owner into the record; false where it is unknown or being written: then it is empty there.
    ///
    /// # Safety
    ///
    /// `to` must be a reserved slot's header.
    #[inline(always)]
    pub unsafe fn copy_owner(&self, to: *mut RecordHeader) -> bool {
        // SAFETY: the caller's promise.
        unsafe { if self.owner.is_null() { copy_none(to) } else { copy(self.owner, to) } }
    }

    /// cgroup and cookie of the socket: two helpers for its first packet, memory for all others.
    #[inline(always)]
    pub fn identity(&self, skb: &Skb) -> (u64, u64) {
        let owner = self.owner;
        if !owner.is_null() {
            // SAFETY: a storage value is valid while the program runs.
            let (cgroup_id, cookie) = unsafe {
                (
                    ptr::read_volatile(&raw const (*owner).socket_cgroup_id),
                    ptr::read_volatile(&raw const (*owner).socket_cookie),
                )
            };
            if cgroup_id != 0 && cookie != 0 {
                return (cgroup_id, cookie);
            }
        }
        let (cgroup_id, cookie) = identity_of(skb);
        if !owner.is_null() {
            // SAFETY: as above.
            unsafe {
                ptr::write_volatile(&raw mut (*owner).socket_cgroup_id, cgroup_id);
                ptr::write_volatile(&raw mut (*owner).socket_cookie, cookie);
            }
        }
        (cgroup_id, cookie)
    }
}

/// The same, asked for anew.
#[inline(always)]
pub fn identity_of(skb: &Skb) -> (u64, u64) {
    // SAFETY: the context is valid.
    unsafe { (bpf_skb_cgroup_id(skb.as_ptr()), bpf_get_socket_cookie(skb.as_ptr().cast())) }
}

/// `Socket::copy_owner`, with the storage looked up anew: of a pointer that may be a known null the verifier of 5.10 follows
/// also the way on which it is not, and finds no memory there.
///
/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(never)]
pub unsafe fn copy_owner_of(skb: *mut __sk_buff, to: *mut RecordHeader) -> bool {
    let sk = Skb::from(skb).socket();
    if !sk.is_null() {
        let owner = storage(sk, 0);
        if !owner.is_null() {
            // SAFETY: the caller's promise, and a storage value is valid while the program runs.
            return unsafe { copy(owner, to) };
        }
    }
    // SAFETY: the caller's promise.
    unsafe { copy_none(to) }
}

/// # Safety
///
/// `owner` must be a storage value, `to` a reserved slot's header.
#[inline(always)]
unsafe fn copy(owner: *const Owner, to: *mut RecordHeader) -> bool {
    // SAFETY: the caller's promise; eight-byte fields lie at multiples of eight.
    unsafe {
        let cgroup_id = ptr::read_volatile(&raw const (*owner).cgroup_id);
        let pid_tgid = ptr::read_volatile(&raw const (*owner).pid_tgid);
        let first = ptr::read_volatile(&raw const (*owner).thread_name[0]);
        let second = ptr::read_volatile(&raw const (*owner).thread_name[1]);
        if ptr::read_volatile(&raw const (*owner).check) != check(cgroup_id, pid_tgid, first, second) {
            count(Counter::OwnerTorn);
            return copy_none(to);
        }
        write_words(to, cgroup_id, pid_tgid, [first, second]);
    }
    true
}

/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn copy_none(to: *mut RecordHeader) -> bool {
    // SAFETY: the caller's promise.
    unsafe { write_words(to, 0, 0, [0, 0]) };
    false
}

/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn write_words(to: *mut RecordHeader, cgroup_id: u64, pid_tgid: u64, thread_name: [u64; 2]) {
    let [first, second] = thread_name;
    // SAFETY: the caller's promise; eight-byte fields lie at multiples of eight. Volatile, word by word: of four zeros side by
    // side the compiler makes a call with a loop.
    unsafe {
        (&raw mut (*to).owner_cgroup_id).write_volatile(cgroup_id);
        (&raw mut (*to).pid).cast::<u64>().write_volatile(pid_tgid.rotate_left(32));
        (&raw mut (*to).thread_name).cast::<u64>().write_volatile(first);
        (&raw mut (*to).thread_name).cast::<u64>().add(1).write_volatile(second);
    }
}

/// Whether the packet's socket is raw, asked of the socket itself: for those that nothing is stored with.
#[inline(never)]
pub fn is_raw(skb: *mut __sk_buff) -> bool {
    let sk = Skb::from(skb).socket();
    if sk.is_null() {
        return false;
    }
    // SAFETY: not null, as the helper wants it.
    let sk = unsafe { bpf_sk_fullsock(sk) };
    // SAFETY: not null, and a full socket.
    !sk.is_null() && unsafe { (*sk).type_ } == SOCK_RAW
}

/// Takes the fact that a task has just taken the socket: true where the thread's name does not say the process's, which
/// user space must then read while it lives. It looks the storage up itself: of a pointer that may be a known null the
/// verifier of 5.10 also follows the way on which it is not, and finds no memory there.
#[inline(never)]
pub fn take_fresh(skb: *mut __sk_buff) -> bool {
    let sk = Skb::from(skb).socket();
    if sk.is_null() {
        return false;
    }
    let owner = storage(sk, 0);
    if owner.is_null() {
        return false;
    }
    // SAFETY: a storage value is valid while the program runs.
    let task = unsafe {
        ptr::write_volatile(&raw mut (*owner).fresh, 0);
        ptr::read_volatile(&raw const (*owner).pid_tgid)
    };
    THREAD_NAMES.load() == 0 || task >> 32 != task & 0xffff_ffff
}
