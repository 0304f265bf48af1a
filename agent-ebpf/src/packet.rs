//! The journey of one packet: headers, select, budget, submit; counted once as seen and once where it left.

use core::{
    ffi::c_void,
    mem::{MaybeUninit, offset_of},
};

use aya_ebpf::{
    EbpfContext,
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::bpf_skb_load_bytes,
    programs::SkBuffContext,
};
use aya_log_ebpf::debug;
use namewarden_agent_common::{counters::Counter, pace::Pace};

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
///
/// `IN_PLACE` is no constant that user space sets: on old kernels (5.10) a loader without `CAP_PERFMON` must satisfy the
/// verifier with the ways that are never taken, too. Neither headers in place nor logging do.
#[inline(always)]
pub fn observe<const IN_PLACE: bool>(ctx: &SkBuffContext, direction: Direction) {
    // A map of one element: there is always one.
    let Some(pace) = maps::pace() else { return };
    maps::add_at::<{ offset_of!(Pace, seen) }, _>(pace, 1);
    let Err(exit) = journey::<IN_PLACE>(ctx, direction, pace) else {
        return maps::add_at::<{ offset_of!(Pace, submitted) }, _>(pace, 1);
    };
    if exit as u32 == Counter::OtherPort as u32 {
        return maps::add_at::<{ offset_of!(Pace, other_port) }, _>(pace, 1);
    }
    maps::count(exit);
    let telling = exit as u32 == Counter::ShortHeader as u32
        || exit as u32 >= Counter::CopyFailed as u32 && exit as u32 <= Counter::PartlyLost as u32;
    if IN_PLACE && telling {
        debug!(ctx, "packet left by exit {}", exit as u32);
    }
}

/// First the cheap refusals, the copy last.
#[inline(always)]
fn journey<const IN_PLACE: bool>(
    ctx: &SkBuffContext,
    direction: Direction,
    pace: *mut Pace,
) -> Result<(), Counter> {
    let skb = Skb::of(ctx);
    let mut headers = Headers::default();
    headers::read::<IN_PLACE>(&skb, &mut headers)?;
    let mut wanted = Wanted::new(&skb, direction);
    select::select::<IN_PLACE>(&skb, &headers, direction, &mut wanted)?;
    let mut payload = Payload::default();
    headers::payload::<IN_PLACE>(&skb, &headers, &mut payload)?;
    select::worth_copying::<IN_PLACE>(&skb, &headers, &payload)?;
    let moment = budget::spend(&skb, &payload, pace)?;
    submit::submit::<IN_PLACE>(&skb, &headers, &wanted, &payload, moment, pace)
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

    /// The packet of a function outside the hook.
    #[inline(always)]
    pub fn from(raw: *mut __sk_buff) -> Self {
        Self { raw }
    }

    /// The packet's socket as the context has it, which may be a request's; null where it has none.
    #[inline(always)]
    pub fn socket(&self) -> *mut bpf_sock {
        // SAFETY: the kernel passes a valid context.
        unsafe { (*self.raw).__bindgen_anon_2.sk }
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

    /// The same word, of which the verifier knows nothing from here on: it then follows what comes after once, and not once
    /// for every way that led here. Two reads of the same field of the context are equal, which it does not know.
    #[inline(always)]
    pub fn forget(&self, word: u64) -> u64 {
        #[cfg(target_arch = "bpf")]
        let mut word = word;
        #[cfg(target_arch = "bpf")]
        // SAFETY: reads the length, the first field of a context.
        unsafe {
            core::arch::asm!(
                "{zero} = *(u32 *)({context} + 0)",
                "{same} = *(u32 *)({context} + 0)",
                "{zero} ^= {same}",
                "{word} ^= {zero}",
                "{zero} <<= 32",
                "{word} ^= {zero}",
                context = in(reg) self.raw,
                zero = out(reg) _,
                same = out(reg) _,
                word = inout(reg) word,
            );
        }
        word
    }

    /// A few bytes of the packet, wherever they lie. Nothing is written before the helper writes: half a word where a whole
    /// one was the verifier of 5.10 refuses.
    #[inline(always)]
    pub fn load<T: Copy>(&self, offset: u32) -> Result<T, Counter> {
        let mut bytes = MaybeUninit::<T>::uninit();
        let to = bytes.as_mut_ptr().cast::<c_void>();
        // SAFETY: `to` has room for exactly the bytes asked for.
        let outcome = unsafe { bpf_skb_load_bytes(self.raw.cast(), offset, to, size_of::<T>() as u32) };
        if outcome != 0 {
            return Err(Counter::ShortHeader);
        }
        // SAFETY: the helper wrote all of it; every pattern of integer bytes is a value.
        Ok(unsafe { bytes.assume_init() })
    }
}
