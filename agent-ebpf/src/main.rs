//! The kernel half of the agent: the hooks, entry points only. Each one looks and lets pass; none ever refuses,
//! drops or rewrites anything.
//!
//! Kernels from 5.10 on, with `CAP_BPF` and `CAP_NET_ADMIN` only: no variable offset is ever added to a pointer (the
//! verifier refuses that without `CAP_PERFMON`), no helper is younger than 5.10. Where ways meet after a refusal of the usual
//! form, `Skb::forget` makes them one, and what writes less than a word to the stack is a function of its own.
#![no_std]
#![no_main]
#![expect(missing_docs, reason = "the macros of the hooks drop doc comments")]
#![expect(clippy::needless_pass_by_value, reason = "the macros of the hooks hand contexts over")]
#![expect(clippy::not_unsafe_ptr_arg_deref, reason = "a context is a pointer that the kernel vouches for")]
#![expect(clippy::inline_always, reason = "each call costs, and the verifier knows less behind it")]
#![expect(clippy::cast_possible_truncation, reason = "fields are cut out of wider words on purpose")]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "slots of the ring are aligned to 8, and so are a record's fields"
)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

// Every map, and the constants that user space sets.
mod maps;

// The journey of one packet through the files below.
mod packet;

// IP and transport headers -> where the payload is.
mod headers;

// Is this packet wanted?
mod select;

// Who owns the socket?
mod owner;

// Does its socket or cgroup flood?
mod budget;

// Record, payload, ring buffer, wakeup.
mod submit;

use aya_ebpf::{
    macros::{cgroup_skb, cgroup_sock, cgroup_sock_addr},
    programs::{SkBuffContext, SockAddrContext, SockContext},
};

use crate::{owner::Level, packet::Direction};

/// What every hook answers: go on.
const PASS: i32 = 1;

#[cgroup_skb(egress)]
pub fn packet_out(ctx: SkBuffContext) -> i32 {
    packet::observe::<true>(&ctx, Direction::Egress);
    PASS
}

#[cgroup_skb(ingress)]
pub fn packet_in(ctx: SkBuffContext) -> i32 {
    packet::observe::<true>(&ctx, Direction::Ingress);
    PASS
}

#[cgroup_skb(egress)]
pub fn packet_out_plain(ctx: SkBuffContext) -> i32 {
    packet::observe::<false>(&ctx, Direction::Egress);
    PASS
}

#[cgroup_skb(ingress)]
pub fn packet_in_plain(ctx: SkBuffContext) -> i32 {
    packet::observe::<false>(&ctx, Direction::Ingress);
    PASS
}

#[cgroup_sock(sock_create)]
pub fn sock_create(ctx: SockContext) -> i32 {
    owner::created(&ctx);
    PASS
}

#[cgroup_sock_addr(connect4)]
pub fn connect4_child(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Child);
    PASS
}

#[cgroup_sock_addr(connect6)]
pub fn connect6_child(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Child);
    PASS
}

#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4_child(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Child);
    PASS
}

#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6_child(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Child);
    PASS
}

#[cgroup_sock_addr(connect4)]
pub fn connect4_root(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Root);
    PASS
}

#[cgroup_sock_addr(connect6)]
pub fn connect6_root(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Root);
    PASS
}

#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4_root(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Root);
    PASS
}

#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6_root(ctx: SockAddrContext) -> i32 {
    owner::destined(&ctx, Level::Root);
    PASS
}

/// The helpers used are offered to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
