//! Fills the record, copies the payload straight into a reserved slot of the ring buffer, submits it or counts the loss,
//! and decides whether to wake user space.
//!
//! Never through per-CPU scratch: an ingress run interrupts an egress run on its CPU and would overwrite it. A payload
//! larger than the largest slot goes out in several records.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve,
        bpf_ringbuf_submit, bpf_skb_load_bytes,
    },
};
use namewarden_agent_common::{
    counters::Counter,
    pace::Pace,
    record::{FLAG_FRAGMENT, FLAG_OWNER, FLAG_TRUNCATED, PAYLOAD_MAX, RECORD_VERSION, RecordHeader},
    settings::FRESH_WAKEUPS_PER_WINDOW,
};

use crate::{
    budget::Moment,
    headers::{self, Headers, Payload},
    maps::{LOOK_SHIFT, PRESSURE_BYTES, RING, WAKE_SHIFT, count, raw},
    owner::{self, Socket},
    packet::Skb,
    select::Wanted,
};

/// The largest slot's payload where one record is enough; what is longer goes out in several.
const CHUNK_MAX: u32 = 4096;

/// Payload of each of several records, so that a packet is done in four turns: of sixteen the verifiers before 6.12 follow
/// more ways than they allow.
const CHUNK_OF_SEVERAL: u32 = PAYLOAD_MAX.div_ceil(4).next_power_of_two();

/// What the kernel puts before each slot.
const RING_HEADER: u32 = 8;

const IPV4_HEADER: usize = 20;
const IPV4_ADDRESSES: usize = 12;
const IPV6_ADDRESSES: u32 = 8;

/// All that the records of a packet say, found out before a slot is reserved: between reserving and submitting as little
/// as possible is called, so that the slot's pointer stays in a register (5.10 forgets one that was put on the stack).
#[derive(Clone, Copy)]
struct Draft {
    skb: *mut __sk_buff,
    socket: Socket,
    headers: Headers,
    payload: Payload,
    moment: Moment,
    pace: *mut Pace,
    flags: u16,
}

/// Hands the packet to user space in as many records as it takes.
#[inline(always)]
pub fn submit<const IN_PLACE: bool>(
    skb: &Skb,
    headers: &Headers,
    wanted: &Wanted,
    payload: &Payload,
    moment: Moment,
    pace: *mut Pace,
) -> Result<(), Counter> {
    let mut flags = wanted.flags;
    if headers.fragment {
        flags |= FLAG_FRAGMENT;
    }
    if !IN_PLACE {
        flags = skb.forget(flags.into()) as u16;
    }
    if payload.length > CHUNK_MAX {
        return chunks::<IN_PLACE>(skb.as_ptr(), pace, flags, moment.read(pace, payload.length));
    }
    let (skb, headers, payload) = (skb.as_ptr(), *headers, *payload);
    let draft = Draft { skb, socket: wanted.socket, headers, payload, moment, pace, flags };
    record::<IN_PLACE>(&draft, room(payload.length), 0, payload.length)
}

/// Payload bytes of the smallest slot that holds as many.
#[inline(always)]
fn room(length: u32) -> u32 {
    match length {
        0..=128 => 128,
        129..=512 => 512,
        513..=2048 => 2048,
        _ => CHUNK_MAX,
    }
}

/// Several records, all of one moment: a function of its own, so that the way of most packets lies
/// together in memory. It reads the packet once more: a struct handed over on the stack the verifier of 5.10 refuses to a
/// loader without `CAP_PERFMON`.
#[inline(never)]
fn chunks<const IN_PLACE: bool>(
    skb: *mut __sk_buff,
    pace: *mut Pace,
    flags: u16,
    moment: Moment,
) -> Result<(), Counter> {
    let packet = Skb::from(skb);
    let mut headers = Headers::default();
    headers::read::<IN_PLACE>(&packet, &mut headers)?;
    let mut payload = Payload::default();
    headers::payload::<IN_PLACE>(&packet, &headers, &mut payload)?;
    let mut draft = Draft { skb, socket: Socket::of(&packet), headers, payload, moment, pace, flags };
    if payload.length > PAYLOAD_MAX {
        draft.flags |= FLAG_TRUNCATED;
        count(Counter::Truncated);
    }
    // No loop: a verifier that also follows the ways that are never taken finds no end of one.
    turn::<IN_PLACE>(&draft, 0)?;
    turn::<IN_PLACE>(&draft, 1)?;
    turn::<IN_PLACE>(&draft, 2)?;
    turn::<IN_PLACE>(&draft, 3)
}

/// One of several records, where the payload goes on as far.
#[inline(always)]
fn turn<const IN_PLACE: bool>(draft: &Draft, number: u32) -> Result<(), Counter> {
    let (offset, most) = (number * CHUNK_OF_SEVERAL, CHUNK_OF_SEVERAL);
    if offset >= draft.payload.length {
        return Ok(());
    }
    let left = draft.payload.length - offset;
    let sent = record::<IN_PLACE>(draft, most, offset, if left > most { most } else { left });
    if offset > 0 {
        // Whatever stopped it: what went before was handed over.
        sent.map_err(|_| Counter::PartlyLost)?;
        count(Counter::Continuations);
    }
    sent
}

/// One record of `length` bytes in a slot with `room` for them: a power of two that the verifier knows on each path.
#[inline(always)]
fn record<const IN_PLACE: bool>(draft: &Draft, room: u32, offset: u32, length: u32) -> Result<(), Counter> {
    let size = size_of::<RecordHeader>() as u32 + room;
    // SAFETY: the map is a ring buffer.
    let slot = unsafe { bpf_ringbuf_reserve(raw(&RING), size.into(), 0) };
    if slot.is_null() {
        count(Counter::RecordsLost);
        return Err(Counter::Lost);
    }
    // SAFETY: the slot is ours until it is submitted or discarded, and holds a header and `room` bytes.
    unsafe {
        let filled = fill::<IN_PLACE>(draft, slot.cast(), offset, length);
        let wake = wakeup(draft, u64::from(size + RING_HEADER));
        if !filled || length > 0 && !copy(draft, slot.cast(), room, offset) {
            bpf_ringbuf_discard(slot, BPF_RB_NO_WAKEUP.into());
            return Err(Counter::CopyFailed);
        }
        bpf_ringbuf_submit(slot, wake.into());
    }
    Ok(())
}

/// Copies the chunk that the header announces.
///
/// The length is read back from the slot: so the verifier knows nothing of it and does not follow every path that led
/// to it, and the compiler keeps the mask, which alone tells the verifier that it is 1..=room.
///
/// # Safety
///
/// `slot` must be reserved, with a header whose `chunk_length` is 1..=room, a power of two.
#[inline(always)]
unsafe fn copy(draft: &Draft, slot: *mut RecordHeader, room: u32, offset: u32) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let length = (&raw const (*slot).chunk_length).read_volatile();
        let checked = (length.wrapping_sub(1) & (room - 1)) + 1;
        let to = slot.add(1).cast::<c_void>();
        bpf_skb_load_bytes(draft.skb.cast(), draft.payload.offset + offset, to, checked) == 0
    }
}

/// Writes every field of the header; false where the addresses cannot be read.
///
/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn fill<const IN_PLACE: bool>(draft: &Draft, to: *mut RecordHeader, offset: u32, length: u32) -> bool {
    // SAFETY: the caller's promise; eight-byte fields lie at multiples of eight.
    unsafe {
        touch(to);
        (*to).time_boot_ns = draft.moment.read(draft.pace, draft.payload.length).time();
        let skb = Skb::from(draft.skb);
        let (cgroup_id, socket_cookie) =
            if IN_PLACE { draft.socket.identity(&skb) } else { owner::identity_of(&skb) };
        (*to).cgroup_id = cgroup_id;
        (*to).socket_cookie = socket_cookie;
        let owned = if IN_PLACE { draft.socket.copy_owner(to) } else { owner::copy_owner_of(draft.skb, to) };
        (&raw mut (*to).source_port).cast::<u32>().write(draft.headers.ports);
        (*to).tcp_sequence = draft.payload.tcp_sequence;
        (*to).payload_length = draft.payload.length;
        (*to).chunk_offset = offset;
        (*to).chunk_length = length;
        (*to).cpu = bpf_get_smp_processor_id();
        (*to).flags = draft.flags | if owned { FLAG_OWNER } else { 0 };
        (*to).gso_size = skb.gso_size() as u16;
        (*to).version = RECORD_VERSION;
        (*to).ip_version = draft.headers.ip_version;
        (*to).protocol = draft.headers.protocol;
        // The TCP flags and the seven bytes of padding after them.
        (&raw mut (*to).tcp_flags).cast::<u64>().write(u64::from(draft.payload.tcp_flags));
        addresses::<IN_PLACE>(draft, to)
    }
}

/// Writes to each cache line of the header and to the first of the payload: the slot was last used a lap ago and is
/// cold, and its lines arrive while the rest is found out.
///
/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn touch(to: *mut RecordHeader) {
    // SAFETY: the caller's promise, and no slot is smaller than a header and 128 bytes.
    unsafe {
        let line = to.cast::<u64>();
        line.write_volatile(0);
        line.add(8).write_volatile(0);
        line.add(16).write_volatile(0);
        line.add(24).write_volatile(0);
    }
}

/// # Safety
///
/// `to` must be a reserved slot's header.
#[inline(always)]
unsafe fn addresses<const IN_PLACE: bool>(draft: &Draft, to: *mut RecordHeader) -> bool {
    let skb = draft.skb.cast();
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
        if !IN_PLACE {
            let (from, to) = (IPV4_ADDRESSES as u32, source.add(4));
            return bpf_skb_load_bytes(skb, from, source.cast(), 4) == 0
                && bpf_skb_load_bytes(skb, from + 4, to.cast(), 4) == 0;
        }
        let packet = Skb::from(draft.skb);
        let (data, end) = (packet.data(), packet.data_end());
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
/// woken by every record. To ask how much waits is to read what the reader's CPU writes, so each CPU asks once for its
/// share of that quarter only; what all of them write between two questions is a quarter at most. The name of a new
/// process is wanted with its first bytes: a SYN holds no message that it could be said of.
#[inline(always)]
fn wakeup(draft: &Draft, slot: u64) -> u32 {
    let pace = draft.pace;
    // SAFETY: a map value is valid while the program runs; lost updates do no harm.
    let (before, after) = unsafe {
        let before = (*pace).written;
        (*pace).written = before + slot;
        (before, before + slot)
    };
    if before >> LOOK_SHIFT.load() != after >> LOOK_SHIFT.load() && look(pace) {
        return BPF_RB_FORCE_WAKEUP;
    }
    if draft.payload.length > 0 && draft.socket.is_fresh() && owner::take_fresh(draft.skb) && may_wake(pace) {
        count(Counter::FreshWakeups);
        return BPF_RB_FORCE_WAKEUP;
    }
    BPF_RB_NO_WAKEUP
}

/// How much waits? True where that passed a multiple since this CPU last looked.
#[inline(never)]
fn look(pace: *mut Pace) -> bool {
    // SAFETY: the map is a ring buffer, a map value is valid while the program runs.
    unsafe {
        let waiting = bpf_ringbuf_query(raw(&RING), BPF_RB_AVAIL_DATA.into());
        if waiting >= PRESSURE_BYTES.load() {
            (*pace).pressed = (*pace).window;
        }
        let (before, now) = ((*pace).waited, waiting >> WAKE_SHIFT.load());
        (*pace).waited = now;
        if now <= before {
            return false;
        }
    }
    count(Counter::Wakeups);
    true
}

#[inline(always)]
fn may_wake(pace: *mut Pace) -> bool {
    // SAFETY: a map value is valid while the program runs.
    unsafe {
        if (*pace).fresh_wakeups >= FRESH_WAKEUPS_PER_WINDOW.into() {
            return false;
        }
        (*pace).fresh_wakeups += 1;
    }
    true
}
