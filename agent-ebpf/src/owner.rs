//! Who owns the socket, and does it talk to a DNS port: written by the hooks that run in the task's own context (raw
//! socket made, connect, sendmsg), read back by the packet hook, which may run in anybody's.
//!
//! Storage is made only for a socket that has a DNS destination, and for raw sockets (about 300 bytes each): other
//! sockets cost nothing.

use core::{ptr, ptr::addr_of_mut};

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    helpers::generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_sk_fullsock,
        bpf_sk_storage_get,
    },
    programs::{SkBuffContext, SockAddrContext, SockContext},
};
use namewarden_agent_common::counters::Counter;

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
    /// The four words above and `CHECK` combined: a value that two tasks wrote at once does not fit.
    pub check: u64,
    /// The socket's destination is a DNS port.
    pub marked: u32,
    /// No packet was seen since the task took the socket.
    pub fresh: u32,
    /// The hook of a child of the root saw this socket: the root's must keep away from it.
    pub seen_by_child: u32,
    /// Explicit padding.
    pub reserved: u32,
}

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
    write(owner);
}

/// A task connects a socket or sends to an address: its destination sets or clears the mark.
///
/// A socket's cgroup never changes, and at every call the child's hook runs before the root's. So once a child's hook
/// has seen a socket, the root's has nothing to add: it would only see the port after others rewrote it.
#[inline(always)]
pub fn destined(ctx: &SockAddrContext, level: Level) {
    // SAFETY: the kernel passes a valid context.
    let (port, sk) = unsafe { ((*ctx.sock_addr).user_port, (*ctx.sock_addr).__bindgen_anon_1.sk) };
    let wanted = in_port_set(u16::from_be(port as u16));
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
        (*owner).marked = u32::from(wanted);
        if level == Level::Child {
            (*owner).seen_by_child = 1;
        }
    }
    write(owner);
}

/// Marks a raw socket that sent to a DNS port.
#[inline(always)]
pub fn mark(socket: &Socket) {
    if !socket.owner.is_null() {
        // SAFETY: as above.
        unsafe { (*socket.owner).marked = 1 };
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
        (*owner).check = check(owner);
    }
}

/// # Safety
///
/// `owner` must be a valid storage value.
#[inline(always)]
unsafe fn check(owner: *const Owner) -> u64 {
    // SAFETY: the caller's promise.
    let [first, second] = unsafe { (*owner).thread_name };
    // SAFETY: the caller's promise.
    unsafe { (*owner).pid_tgid ^ (*owner).cgroup_id ^ first ^ second ^ CHECK }
}

/// The socket of a packet.
#[derive(Clone, Copy)]
pub struct Socket {
    /// The socket itself; null where the packet has none.
    pub sk: *mut bpf_sock,
    /// Its storage; null where nothing was stored.
    pub owner: *mut Owner,
    /// Its mark, read at once: 5.10 does not follow a null check that is merged with other conditions.
    marked: u32,
}

impl Socket {
    /// Socket and storage of a packet.
    #[inline(always)]
    pub fn of(ctx: &SkBuffContext) -> Self {
        let none = Self { sk: ptr::null_mut(), owner: ptr::null_mut(), marked: 0 };
        // SAFETY: the kernel passes a valid context.
        let sk = unsafe { (*Skb::of(ctx).as_ptr()).__bindgen_anon_2.sk };
        if sk.is_null() {
            return none;
        }
        // SAFETY: not null, as the helper wants it.
        let sk = unsafe { bpf_sk_fullsock(sk) };
        if sk.is_null() {
            return none;
        }
        let owner = storage(sk, 0);
        if owner.is_null() {
            return Self { sk, ..none };
        }
        // SAFETY: a storage value is valid while the program runs.
        let marked = unsafe { ptr::read_volatile(&raw const (*owner).marked) };
        Self { sk, owner, marked }
    }

    /// Whether its latest destination was a DNS port.
    #[inline(always)]
    pub fn is_marked(&self) -> bool {
        self.marked != 0
    }

    /// Whether it ever had a DNS destination: without one, what comes from a DNS port is no answer, and nobody shall
    /// make a workload's alerts by sending to it from port 53. A raw socket's destination no hook sees.
    #[inline(always)]
    pub fn may_have_asked(&self) -> bool {
        !self.owner.is_null() || self.is_raw()
    }

    /// Whether it is a raw socket.
    #[inline(always)]
    pub fn is_raw(&self) -> bool {
        // SAFETY: not null, and a full socket.
        !self.sk.is_null() && unsafe { (*self.sk).type_ } == SOCK_RAW
    }

    /// Takes the fact that a task has just taken the socket: true once, where the thread's name does not say the
    /// process's, which user space must then read while it lives.
    #[inline(always)]
    pub fn take_fresh(&self) -> bool {
        if self.owner.is_null() {
            return false;
        }
        // SAFETY: a storage value is valid while the program runs.
        unsafe {
            if ptr::read_volatile(&raw const (*self.owner).fresh) == 0 {
                return false;
            }
            ptr::write_volatile(&raw mut (*self.owner).fresh, 0);
            let task = ptr::read_volatile(&raw const (*self.owner).pid_tgid);
            THREAD_NAMES.load() == 0 || task >> 32 != task & 0xffff_ffff
        }
    }

    /// Copies the owner into `cgroup_id, task, thread name`; false where it is unknown or being written.
    #[inline(always)]
    pub fn read_owner(&self, to: &mut OwnerCopy) -> bool {
        if self.owner.is_null() {
            return false;
        }
        // SAFETY: a storage value is valid while the program runs.
        unsafe {
            to.cgroup_id = ptr::read_volatile(&raw const (*self.owner).cgroup_id);
            to.pid_tgid = ptr::read_volatile(&raw const (*self.owner).pid_tgid);
            to.first = ptr::read_volatile(&raw const (*self.owner).thread_name[0]);
            to.second = ptr::read_volatile(&raw const (*self.owner).thread_name[1]);
            let whole = to.pid_tgid ^ to.cgroup_id ^ to.first ^ to.second ^ CHECK;
            if ptr::read_volatile(&raw const (*self.owner).check) != whole {
                count(Counter::OwnerTorn);
                return false;
            }
        }
        true
    }
}

/// A consistent copy of an owner, in registers.
#[derive(Clone, Copy, Default)]
pub struct OwnerCopy {
    /// cgroup of the task.
    pub cgroup_id: u64,
    /// Process id in the upper half, thread id in the lower.
    pub pid_tgid: u64,
    /// First half of the thread's name.
    pub first: u64,
    /// Second half of it.
    pub second: u64,
}
