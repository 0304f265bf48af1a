//! Does its socket or cgroup flood? Budgets of records and bytes in a window of 134 ms.
//!
//! While a CPU is not busy, this is two additions to numbers of that CPU. Only where they pass a gate, or the ring
//! buffer is half full, the budgets of cgroup and socket are kept. The gate is the budget divided by the number of
//! CPUs: a cgroup over its budget opens it on one of them at least.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST, BPF_SK_STORAGE_GET_F_CREATE},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_sk_storage_get, bpf_skb_cgroup_id,
    },
};
use namewarden_agent_common::{
    counters::Counter,
    pace::Pace,
    settings::{Flow, PRESSURE_SHIFT, WINDOW_SHIFT},
};

use crate::{
    headers::Payload,
    maps::{
        BUDGET_BYTES, BUDGET_RECORDS, CGROUP_FLOWS, GATE_BYTES, GATE_RECORDS, SOCKET_FLOWS, add, count, raw,
    },
    packet::Skb,
};

/// A budget of which nothing is used.
static EMPTY: Flow = Flow { window: 0, records: 0, bytes: 0, shed_packets: 0, shed_bytes: 0, shed_socket: 0 };

/// The moment at which a packet passed: `bpf_ktime_get_boot_ns`, or 0 where nothing had to know it yet.
#[derive(Clone, Copy)]
pub struct Moment(u64);

impl Moment {
    #[inline(always)]
    fn now() -> Self {
        // SAFETY: takes nothing.
        Self(unsafe { bpf_ktime_get_boot_ns() })
    }

    #[inline(always)]
    fn window(self) -> u64 {
        self.0 >> WINDOW_SHIFT
    }

    /// Nanoseconds since the machine started.
    #[inline(always)]
    pub fn time(self) -> u64 {
        self.0
    }

    /// The moment, read now where it was not read before; the first of a window begins it.
    #[inline(always)]
    pub fn read(self, pace: *mut Pace, bytes: u32) -> Self {
        if self.0 != 0 {
            return self;
        }
        let now = Self::now();
        // SAFETY: a map value is valid while the program runs; only this CPU writes it, and lost updates do no harm.
        unsafe {
            if (*pace).window != now.window() {
                begin(pace, now.window());
                (*pace).records = 1;
                (*pace).bytes = bytes.into();
            }
        }
        now
    }
}

/// Counts the packet against the budgets; refuses it where one is used up.
///
/// While this CPU is calm, its window is looked at later (`Moment::read`): reading the clock is dear, and dearer where
/// it has to wait for other memory. A window that has ended only makes a calm CPU look busier than it is.
#[inline(always)]
pub fn spend(skb: &Skb, payload: &Payload, pace: *mut Pace) -> Result<Moment, Counter> {
    let bytes = u64::from(payload.length);
    // SAFETY: a map value is valid while the program runs; only this CPU writes it, and lost updates do no harm.
    unsafe {
        if (*pace).pressed == 0
            && (*pace).records < GATE_RECORDS.load()
            && (*pace).bytes + bytes <= GATE_BYTES.load()
        {
            (*pace).records += 1;
            (*pace).bytes += bytes;
            return Ok(Moment(0));
        }
    }
    let moment = Moment::now();
    watched(skb.as_ptr(), pace, payload.length, moment.window())?;
    Ok(moment)
}

/// The same where the CPU is, or was, busy.
#[inline(never)]
fn watched(skb: *mut __sk_buff, pace: *mut Pace, bytes: u32, window: u64) -> Result<(), Counter> {
    // SAFETY: as above.
    let (pressed, busy) = unsafe {
        if (*pace).window != window {
            begin(pace, window);
        }
        (*pace).records += 1;
        (*pace).bytes += u64::from(bytes);
        let busy = (*pace).records > GATE_RECORDS.load() || (*pace).bytes > GATE_BYTES.load();
        ((*pace).pressed == window, busy)
    };
    match (pressed, busy) {
        (true, _) => judge(skb, bytes, window, PRESSURE_SHIFT),
        (false, true) => judge(skb, bytes, window, 0),
        (false, false) => Ok(()),
    }
}

/// Begins a window.
///
/// # Safety
///
/// `pace` must be a map value.
#[inline(always)]
unsafe fn begin(pace: *mut Pace, window: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        (*pace).window = window;
        clear(&raw mut (*pace).records);
        clear(&raw mut (*pace).bytes);
        clear(&raw mut (*pace).pressed);
        (*pace).fresh_wakeups = 0;
    }
}

/// One socket may use half of its cgroup's budget, so that a bulk stream leaves room for the queries beside it.
#[inline(always)]
fn judge(skb: *mut __sk_buff, bytes: u32, window: u64, shift: u64) -> Result<(), Counter> {
    let sk = Skb::from(skb).socket();
    // SAFETY: the context is valid.
    let cgroup_id = unsafe { bpf_skb_cgroup_id(skb) };
    let Some(cgroup) = cgroup_flow(cgroup_id) else {
        count(Counter::FlowMissing);
        return Ok(());
    };
    let (records, most) = (BUDGET_RECORDS.load() >> shift, BUDGET_BYTES.load() >> shift);
    let mut exit = None;
    if !sk.is_null() {
        // SAFETY: map and socket are valid; the value is the type that the map was defined with.
        let socket = unsafe {
            let create = BPF_SK_STORAGE_GET_F_CREATE.into();
            bpf_sk_storage_get(raw(&SOCKET_FLOWS), sk.cast(), core::ptr::null_mut(), create)
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
        (*cgroup).shed_socket = bpf_get_socket_cookie(skb.cast());
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
