//! A socket load-balancer as a CNI has it, at the root of a cgroup tree: written here instruction by instruction, so that no
//! compiler is needed.

use std::{fs::File, net::SocketAddrV4, path::Path};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSockAddr},
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// One instruction: code, registers (destination in the lower half), offset, immediate (RFC 9669 section 3).
pub type Instruction = (u8, u8, i16, i32);

/// Address and port of `struct bpf_sock_addr`, in network byte order: `from` becomes `to`.
fn rewriter(from: SocketAddrV4, to: SocketAddrV4) -> Vec<Instruction> {
    let number = |address: SocketAddrV4| i32::from_le_bytes(address.ip().octets());
    let port = |address: SocketAddrV4| i32::from(address.port().to_be());
    vec![
        (0x61, 0x12, 4, 0),         // r2 = user_ip4
        (0xb4, 3, 0, number(from)), // w3 = address
        (0x5d, 0x32, 6, 0),         // if r2 != r3 goto end
        (0x61, 0x12, 24, 0),        // r2 = user_port
        (0x55, 2, 4, port(from)),   // if r2 != port goto end
        (0xb4, 2, 0, number(to)),   // w2 = the other address
        (0x63, 0x21, 4, 0),         // user_ip4 = r2
        (0xb4, 2, 0, port(to)),     // w2 = the other port
        (0x63, 0x21, 24, 0),        // user_port = r2
        (0xb7, 0, 0, 1),            // end: r0 = 1, go on
        (0x95, 0, 0, 0),            // return
    ]
}

/// Attaches it to the cgroup: whoever below connects or sends to `address` reaches `server`, and is told of `address` when he
/// asks who answered. It goes when the value is dropped.
pub fn attach(cgroup: &Path, address: SocketAddrV4, server: SocketAddrV4) -> Result<Ebpf> {
    let (there, back) = (rewriter(address, server), rewriter(server, address));
    let programs = [
        ("cgroup/connect4", "on_connect", there.clone()),
        ("cgroup/sendmsg4", "on_send", there),
        ("cgroup/recvmsg4", "on_receive", back.clone()),
        ("cgroup/getpeername4", "on_peer", back),
    ];
    let mut loaded = Ebpf::load(&object(&programs)?)?;
    let group = File::open(cgroup)?;
    for (_, name, _) in programs {
        let program: &mut CgroupSockAddr = loaded.program_mut(name).context("no such program")?.try_into()?;
        program.load()?;
        program.attach(&group, CgroupAttachMode::Single)?;
    }
    Ok(loaded)
}

/// An object file with one program a section, as a compiler leaves it.
pub fn object(programs: &[(&str, &str, Vec<Instruction>)]) -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    for (section, name, instructions) in programs {
        let bytes: Vec<u8> = instructions.iter().copied().flat_map(encode).collect();
        let section = object.add_section(Vec::new(), section.as_bytes().to_vec(), SectionKind::Text);
        object.append_section_data(section, &bytes, 8);
        object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: bytes.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    Ok(object.write()?)
}

fn encode((code, registers, offset, immediate): Instruction) -> [u8; 8] {
    let [offset_low, offset_high] = offset.to_le_bytes();
    let [a, b, c, d] = immediate.to_le_bytes();
    [code, registers, offset_low, offset_high, a, b, c, d]
}
