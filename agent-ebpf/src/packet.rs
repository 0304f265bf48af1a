//! The journey of one packet: headers, select, budget, submit; counted once as seen and once where it left.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    EbpfContext, bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes, programs::SkBuffContext,
};
use aya_log_ebpf::debug;
use namewarden_agent_common::counters::Counter;

use crate::{
    budget,
    headers::{self, Headers, Payload},
    maps,
    select::{self, Wanted},
    submit,
};

/// Which way the packet passes its socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Out of it.
    Egress,
    /// Into it.
    Ingress,
}

/// Looks at one packet.
#[inline(always)]
pub fn observe(ctx: &SkBuffContext, direction: Direction) {
    maps::count(Counter::Seen);
    let exit = match journey(ctx, direction) {
        Ok(()) => Counter::Submitted,
        Err(exit) => exit,
    };
    maps::count(exit);
    if exit as u32 == Counter::ShortHeader as u32
        || exit as u32 >= Counter::CopyFailed as u32 && exit as u32 <= Counter::PartlyLost as u32
    {
        debug!(ctx, "packet left by exit {}", exit as u32);
    }
}

/// First the cheap refusals, the copy last.
#[inline(always)]
fn journey(ctx: &SkBuffContext, direction: Direction) -> Result<(), Counter> {
    let mut headers = Headers::default();
    headers::read(ctx, &mut headers)?;
    let mut wanted = Wanted::new(ctx, direction);
    select::select(ctx, &headers, direction, &mut wanted)?;
    let mut payload = Payload::default();
    headers::payload(ctx, &headers, &mut payload)?;
    select::worth_copying(ctx, &headers, &payload)?;
    let moment = budget::Moment::now();
    budget::spend(ctx, &wanted, &payload, &moment)?;
    submit::submit(ctx, &headers, &wanted, &payload, &moment)
}

/// The context's fields and bytes that the context type of the library does not offer.
pub struct Skb {
    raw: *mut __sk_buff,
}

impl Skb {
    /// The packet of a hook.
    #[inline(always)]
    pub fn of(ctx: &SkBuffContext) -> Self {
        Self { raw: ctx.as_ptr().cast() }
    }

    /// The context as the helpers take it.
    #[inline(always)]
    pub fn as_ptr(&self) -> *mut __sk_buff {
        self.raw
    }

    /// Start of the linear part: the IP header.
    #[inline(always)]
    pub fn data(&self) -> usize {
        // SAFETY: the kernel passes a valid context.
        unsafe { (*self.raw).data as usize }
    }

    /// End of the linear part.
    #[inline(always)]
    pub fn data_end(&self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.raw).data_end as usize }
    }

    /// Bytes of the whole packet, linear or not.
    #[inline(always)]
    pub fn length(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw).len }
    }

    /// Size of one datagram where the packet holds several, else 0.
    #[inline(always)]
    pub fn gso_size(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw).gso_size }
    }

    /// Copies a few bytes out of the packet, wherever they lie.
    #[inline(always)]
    pub fn load<T: Copy>(&self, offset: u32, to: &mut T) -> Result<(), Counter> {
        let to = ptr::from_mut(to).cast::<c_void>();
        // SAFETY: `to` has room for exactly the bytes asked for; every pattern of integer bytes is a value.
        let outcome = unsafe { bpf_skb_load_bytes(self.raw.cast(), offset, to, size_of::<T>() as u32) };
        if outcome == 0 { Ok(()) } else { Err(Counter::ShortHeader) }
    }
}
