//! Does its socket or cgroup flood? Budgets of records and bytes in a window of 134 ms.
//!
//! While a CPU is not busy, this is two additions to numbers of that CPU. Only where they pass a gate, or the ring
//! buffer is half full, the budgets of cgroup and socket are kept. The gate is the budget divided by the number of
//! CPUs: a cgroup over its budget opens it on one of them at least.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_SK_STORAGE_GET_F_CREATE},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_sk_storage_get, bpf_skb_cgroup_id,
    },
    programs::SkBuffContext,
};
use namewarden_agent_common::{
    counters::Counter,
    settings::{Flow, PRESSURE_SHIFT, WINDOW_SHIFT},
};

use crate::{
    headers::Payload,
    maps::{
        BUDGET_BYTES, BUDGET_RECORDS, CGROUP_FLOWS, GATE_BYTES, GATE_RECORDS, Pace, SOCKET_FLOWS, add, count,
        pace, raw,
    },
    packet::Skb,
    select::Wanted,
};

/// A budget of which nothing is used.
static EMPTY: Flow = Flow { window: 0, records: 0, bytes: 0, shed_packets: 0, shed_bytes: 0, shed_socket: 0 };

/// When the packet passed, and on what CPU's pace.
pub struct Moment {
    /// `bpf_ktime_get_boot_ns`.
    pub time: u64,
    /// The window it lies in.
    pub window: u64,
}

impl Moment {
    /// Reads the clock.
    #[inline(always)]
    pub fn now() -> Self {
        // SAFETY: takes nothing.
        let time = unsafe { bpf_ktime_get_boot_ns() };
        Self { time, window: time >> WINDOW_SHIFT }
    }
}

/// Counts the packet against the budgets; refuses it where one is used up.
#[inline(always)]
pub fn spend(
    ctx: &SkBuffContext,
    wanted: &Wanted,
    payload: &Payload,
    moment: &Moment,
) -> Result<(), Counter> {
    let Some(pace) = pace() else { return Ok(()) };
    let pressed = step(pace, moment.window, payload.length);
    match pressed {
        Watch::No => Ok(()),
        Watch::Calm => judge(ctx, wanted, payload.length, moment.window, 0),
        Watch::Pressed => judge(ctx, wanted, payload.length, moment.window, PRESSURE_SHIFT),
    }
}

/// Whether budgets are kept at this moment.
enum Watch {
    No,
    Calm,
    Pressed,
}

#[inline(always)]
fn step(pace: *mut Pace, window: u64, bytes: u32) -> Watch {
    // SAFETY: a map value is valid while the program runs; only this CPU writes it, and lost updates do no harm.
    unsafe {
        if (*pace).window != window {
            (*pace).window = window;
            clear(&raw mut (*pace).records);
            clear(&raw mut (*pace).bytes);
            (*pace).fresh_wakeups = 0;
        }
        (*pace).records += 1;
        (*pace).bytes += u64::from(bytes);
        if (*pace).pressed == window {
            Watch::Pressed
        } else if (*pace).records > GATE_RECORDS.load() || (*pace).bytes > GATE_BYTES.load() {
            Watch::Calm
        } else {
            Watch::No
        }
    }
}

/// One socket may use half of its cgroup's budget, so that a bulk stream leaves room for the queries beside it.
#[inline(always)]
fn judge(ctx: &SkBuffContext, wanted: &Wanted, bytes: u32, window: u64, shift: u64) -> Result<(), Counter> {
    // SAFETY: the context is valid.
    let cgroup_id = unsafe { bpf_skb_cgroup_id(Skb::of(ctx).as_ptr()) };
    let Some(cgroup) = cgroup_flow(cgroup_id) else {
        count(Counter::FlowMissing);
        return Ok(());
    };
    let (records, most) = (BUDGET_RECORDS.load() >> shift, BUDGET_BYTES.load() >> shift);
    let mut exit = None;
    if !wanted.socket.sk.is_null() {
        // SAFETY: map and socket are valid; the value is the type that the map was defined with.
        let socket = unsafe {
            let create = BPF_SK_STORAGE_GET_F_CREATE.into();
            bpf_sk_storage_get(raw(&SOCKET_FLOWS), wanted.socket.sk.cast(), core::ptr::null_mut(), create)
        };
        if !socket.is_null() && is_over(socket.cast(), window, bytes, records / 2, most / 2) {
            exit = Some(Counter::FloodSocket);
        }
    }
    if exit.is_none() && is_over(cgroup, window, bytes, records, most) {
        exit = Some(Counter::FloodCgroup);
    }
    let Some(exit) = exit else { return Ok(()) };
    // SAFETY: a map value is valid while the program runs.
    unsafe {
        add(&raw mut (*cgroup).shed_packets, 1);
        add(&raw mut (*cgroup).shed_bytes, u64::from(bytes));
        (*cgroup).shed_socket = bpf_get_socket_cookie(Skb::of(ctx).as_ptr().cast());
    }
    Err(exit)
}

#[inline(always)]
fn cgroup_flow(cgroup_id: u64) -> Option<*mut Flow> {
    if let Some(flow) = CGROUP_FLOWS.get_ptr_mut(&cgroup_id) {
        return Some(flow);
    }
    // Another CPU may have been first: then its entry is found below.
    let _ = CGROUP_FLOWS.insert(&cgroup_id, &EMPTY, BPF_NOEXIST.into());
    CGROUP_FLOWS.get_ptr_mut(&cgroup_id)
}

/// Adds the packet to the flow's window unless that would pass the budget.
#[inline(always)]
fn is_over(flow: *mut Flow, window: u64, bytes: u32, records: u64, most: u64) -> bool {
    // SAFETY: a map value is valid while the program runs; additions are atomic, a window begun twice is a small error.
    unsafe {
        if (*flow).window != window {
            (*flow).window = window;
            clear(&raw mut (*flow).records);
            clear(&raw mut (*flow).bytes);
        }
        if (*flow).records >= records || (*flow).bytes >= most {
            return true;
        }
        add(&raw mut (*flow).records, 1);
        add(&raw mut (*flow).bytes, u64::from(bytes));
    }
    false
}

/// Sets one word to zero. Two plain stores side by side become a call with a loop, whose variable offsets the verifier
/// refuses without `CAP_PERFMON`.
///
/// # Safety
///
/// `word` must lie in a map value.
#[inline(always)]
unsafe fn clear(word: *mut u64) {
    // SAFETY: the caller's promise.
    unsafe { word.write_volatile(0) };
}
