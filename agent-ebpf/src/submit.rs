//! Fills the record, copies the payload straight into a reserved slot of the ring buffer, submits it or counts the loss,
//! and decides whether to wake user space.
//!
//! Never through per-CPU scratch: an ingress run interrupts an egress run on its CPU and would overwrite it. A payload
//! larger than the largest slot goes out in several records.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_get_socket_cookie, bpf_ringbuf_query, bpf_skb_cgroup_id,
        bpf_skb_load_bytes,
    },
    programs::SkBuffContext,
};
use namewarden_agent_common::{
    counters::Counter,
    record::{FLAG_FRAGMENT, FLAG_OWNER, FLAG_TRUNCATED, PAYLOAD_MAX, RECORD_VERSION, RecordHeader},
    settings::FRESH_WAKEUPS_PER_WINDOW,
};

use crate::{
    budget::Moment,
    headers::{Headers, Payload},
    maps::{IN_PLACE, PRESSURE_BYTES, RING, WAKE_SHIFT, count, pace, raw},
    owner::OwnerCopy,
    packet::Skb,
    select::Wanted,
};

/// The largest slot's payload; what is longer goes on in the next record.
const CHUNK_MAX: u32 = 4096;
const CHUNKS_MAX: u32 = PAYLOAD_MAX / CHUNK_MAX;

/// What the kernel puts before each slot.
const RING_HEADER: usize = 8;

const IPV4_HEADER: usize = 20;
const IPV4_ADDRESSES: usize = 12;
const IPV6_ADDRESSES: u32 = 8;

/// A slot of the ring buffer; only `chunk_length` bytes of the payload mean anything.
#[repr(C)]
struct Slot<const N: usize> {
    header: RecordHeader,
    payload: [u8; N],
}

/// All that the records of a packet say, found out before a slot is reserved: between reserving and submitting as little
/// as possible is called, so that the slot's pointer stays in a register (5.10 forgets one that was put on the stack).
struct Draft<'a> {
    skb: Skb,
    headers: &'a Headers,
    payload: &'a Payload,
    time: u64,
    cgroup_id: u64,
    socket_cookie: u64,
    owner: OwnerCopy,
    cpu: u32,
    flags: u16,
}

impl<'a> Draft<'a> {
    #[inline(always)]
    fn new(
        ctx: &SkBuffContext,
        headers: &'a Headers,
        wanted: &Wanted,
        payload: &'a Payload,
        time: u64,
    ) -> Self {
        let skb = Skb::of(ctx);
        let mut flags = wanted.flags;
        let mut owner = OwnerCopy::default();
        if wanted.socket.read_owner(&mut owner) {
            flags |= FLAG_OWNER;
        } else {
            owner = OwnerCopy::default();
        }
        if headers.fragment {
            flags |= FLAG_FRAGMENT;
        }
        if payload.length > PAYLOAD_MAX {
            flags |= FLAG_TRUNCATED;
        }
        // SAFETY: the context is valid.
        let (cgroup_id, socket_cookie, cpu) = unsafe {
            (
                bpf_skb_cgroup_id(skb.as_ptr()),
                bpf_get_socket_cookie(skb.as_ptr().cast()),
                bpf_get_smp_processor_id(),
            )
        };
        Self { skb, headers, payload, time, cgroup_id, socket_cookie, owner, cpu, flags }
    }
}

/// Hands the packet to user space in as many records as it takes.
#[inline(always)]
pub fn submit(
    ctx: &SkBuffContext,
    headers: &Headers,
    wanted: &Wanted,
    payload: &Payload,
    moment: &Moment,
) -> Result<(), Counter> {
    let draft = Draft::new(ctx, headers, wanted, payload, moment.time);
    if payload.length > PAYLOAD_MAX {
        count(Counter::Truncated);
    }
    first(&draft, wanted, moment)?;
    let mut offset = CHUNK_MAX;
    for _ in 1..CHUNKS_MAX {
        if offset >= payload.length {
            break;
        }
        // Always the largest slot: the verifier follows each way through each turn, so there is only one.
        if record::<{ CHUNK_MAX as usize }>(&draft, wanted, moment, offset).is_err() {
            return Err(Counter::PartlyLost);
        }
        offset += CHUNK_MAX;
    }
    Ok(())
}

/// The first record, in the smallest slot that holds the payload.
#[inline(always)]
fn first(draft: &Draft, wanted: &Wanted, moment: &Moment) -> Result<(), Counter> {
    match draft.payload.length {
        0..=128 => record::<128>(draft, wanted, moment, 0),
        129..=512 => record::<512>(draft, wanted, moment, 0),
        513..=2048 => record::<2048>(draft, wanted, moment, 0),
        _ => record::<{ CHUNK_MAX as usize }>(draft, wanted, moment, 0),
    }
}

#[inline(always)]
fn record<const N: usize>(
    draft: &Draft,
    wanted: &Wanted,
    moment: &Moment,
    offset: u32,
) -> Result<(), Counter> {
    let says_something = draft.payload.length > 0;
    let wake = wakeup(wanted, moment, (size_of::<Slot<N>>() + RING_HEADER) as u64, says_something);
    let left = draft.payload.length - offset;
    let length = if left > N as u32 { N as u32 } else { left };
    let Some(mut slot) = RING.reserve_untyped::<Slot<N>>(0) else {
        count(Counter::RecordsLost);
        return Err(Counter::Lost);
    };
    let at = slot.as_mut_ptr();
    // SAFETY: the slot is ours until it is submitted.
    let filled = unsafe { fill(draft, &raw mut (*at).header, offset, length) };
    // SAFETY: as above; the slot's payload has room for N bytes.
    let copied = filled && (length == 0 || unsafe { copy(draft, at, offset) });
    if !copied {
        slot.discard(BPF_RB_NO_WAKEUP.into());
        return Err(Counter::CopyFailed);
    }
    slot.submit(wake.into());
    if offset > 0 {
        count(Counter::Continuations);
    }
    Ok(())
}

/// Copies the chunk that the header announces.
///
/// The length is read back from the slot: so the verifier knows nothing of it and does not follow every path that led
/// to it, and the compiler keeps the mask, which alone tells the verifier that it is 1..=N.
///
/// # Safety
///
/// `slot` must be reserved, with a header whose `chunk_length` is 1..=N.
#[inline(always)]
unsafe fn copy<const N: usize>(draft: &Draft, slot: *mut Slot<N>, offset: u32) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let length = (&raw const (*slot).header.chunk_length).read_volatile();
        let checked = (length.wrapping_sub(1) & (N as u32 - 1)) + 1;
        let to = (&raw mut (*slot).payload).cast::<c_void>();
        bpf_skb_load_bytes(draft.skb.as_ptr().cast(), draft.payload.offset + offset, to, checked) == 0
    }
}

/// Writes every field of the header; false where the addresses cannot be read.
///
/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn fill(draft: &Draft, to: *mut RecordHeader, offset: u32, length: u32) -> bool {
    let owner = &draft.owner;
    // SAFETY: the caller's promise; eight-byte fields lie at multiples of eight.
    unsafe {
        (*to).time_boot_ns = draft.time;
        (*to).cgroup_id = draft.cgroup_id;
        (*to).socket_cookie = draft.socket_cookie;
        (*to).owner_cgroup_id = owner.cgroup_id;
        (*to).pid = (owner.pid_tgid >> 32) as u32;
        (*to).tid = owner.pid_tgid as u32;
        (&raw mut (*to).thread_name).cast::<[u64; 2]>().write([owner.first, owner.second]);
        (&raw mut (*to).source_port).cast::<u32>().write(draft.headers.ports);
        (*to).tcp_sequence = draft.payload.tcp_sequence;
        (*to).payload_length = draft.payload.length;
        (*to).chunk_offset = offset;
        (*to).chunk_length = length;
        (*to).cpu = draft.cpu;
        (*to).flags = draft.flags;
        (*to).gso_size = draft.skb.gso_size() as u16;
        (*to).version = RECORD_VERSION;
        (*to).ip_version = draft.headers.ip_version;
        (*to).protocol = draft.headers.protocol;
        // The TCP flags and the seven bytes of padding after them.
        (&raw mut (*to).tcp_flags).cast::<u64>().write(u64::from(draft.payload.tcp_flags));
        addresses(draft, to)
    }
}

/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn addresses(draft: &Draft, to: *mut RecordHeader) -> bool {
    let skb = draft.skb.as_ptr().cast();
    // SAFETY: the caller's promise. Both addresses stand side by side, in the packet and in the record.
    unsafe {
        let source = (&raw mut (*to).source_address).cast::<u32>();
        if draft.headers.ip_version == 6 {
            return bpf_skb_load_bytes(skb, IPV6_ADDRESSES, source.cast(), 32) == 0;
        }
        // One by one: as an array the compiler makes it a call with a loop.
        for word in 0..4 {
            source.cast::<u64>().add(word).write_volatile(0);
        }
        if IN_PLACE.load() == 0 {
            let (from, to) = (IPV4_ADDRESSES as u32, source.add(4));
            return bpf_skb_load_bytes(skb, from, source.cast(), 4) == 0
                && bpf_skb_load_bytes(skb, from + 4, to.cast(), 4) == 0;
        }
        let (data, end) = (draft.skb.data(), draft.skb.data_end());
        if data + IPV4_HEADER > end {
            return false;
        }
        source.write(*((data + IPV4_ADDRESSES) as *const u32));
        source.add(4).write(*((data + IPV4_ADDRESSES + 4) as *const u32));
    }
    true
}

/// Wakes user space when enough is waiting, or when a process may be gone before user space looks by itself.
///
/// Enough is each multiple of a quarter of the ring buffer (64 KiB at most): a reader that is already on its way is not
/// woken by every record. A multiple that two CPUs pass at once may be missed; the next one is near. The name of a new
/// process is wanted with its first bytes: a SYN holds no message that it could be said of.
#[inline(always)]
fn wakeup(wanted: &Wanted, moment: &Moment, slot: u64, says_something: bool) -> u32 {
    // SAFETY: the map is a ring buffer.
    let waiting = unsafe { bpf_ringbuf_query(raw(&RING), BPF_RB_AVAIL_DATA.into()) };
    let shift = WAKE_SHIFT.load();
    if waiting >> shift != (waiting + slot) >> shift {
        if waiting >= PRESSURE_BYTES.load() {
            press(moment.window);
        }
        count(Counter::Wakeups);
        return BPF_RB_FORCE_WAKEUP;
    }
    if says_something && wanted.socket.take_fresh() && may_wake() {
        count(Counter::FreshWakeups);
        return BPF_RB_FORCE_WAKEUP;
    }
    BPF_RB_NO_WAKEUP
}

#[inline(always)]
fn press(window: u64) {
    if let Some(pace) = pace() {
        // SAFETY: a map value is valid while the program runs.
        unsafe { (*pace).pressed = window };
    }
}

#[inline(always)]
fn may_wake() -> bool {
    let Some(pace) = pace() else { return false };
    // SAFETY: a map value is valid while the program runs.
    unsafe {
        if (*pace).fresh_wakeups >= FRESH_WAKEUPS_PER_WINDOW {
            return false;
        }
        (*pace).fresh_wakeups += 1;
    }
    true
}
