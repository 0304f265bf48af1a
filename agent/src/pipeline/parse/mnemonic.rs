//! Opcodes, response codes, classes and types by the names of the IANA registry (DNS parameters).

use super::Mnemonic;
use super::layout;

/// Class NONE (RFC 2136).
pub(super) const CLASS_NONE: u16 = 254;
/// Class ANY.
pub(super) const CLASS_ANY: u16 = 255;

/// `QUERY`, or `OPCODE7`.
pub(super) fn opcode(code: u8) -> Mnemonic {
    let name = match code {
        0 => "QUERY",
        1 => "IQUERY",
        2 => "STATUS",
        4 => "NOTIFY",
        5 => "UPDATE",
        6 => "DSO",
        _ => return format!("OPCODE{code}").into(),
    };
    name.into()
}

/// `NXDOMAIN`, or `RCODE99`.
pub(super) fn response_code(code: u16) -> Mnemonic {
    let name = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        11 => "DSOTYPENI",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return format!("RCODE{code}").into(),
    };
    name.into()
}

/// `IN`, or `CLASS9`.
pub(super) fn class(code: u16) -> Mnemonic {
    let name = match code {
        1 => "IN",
        3 => "CH",
        4 => "HS",
        CLASS_NONE => "NONE",
        CLASS_ANY => "ANY",
        _ => return format!("CLASS{code}").into(),
    };
    name.into()
}

/// `AAAA`, or `TYPE65280`.
pub(super) fn kind(code: u16) -> Mnemonic {
    layout::of(code).map_or_else(|| format!("TYPE{code}").into(), |layout| layout.mnemonic.into())
}
