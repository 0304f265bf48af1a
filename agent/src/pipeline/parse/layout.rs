//! Which fields the data of each record type consists of, in the order of the wire and of presentation format.

/// One field of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// IPv4 address.
    Ip4,
    /// IPv6 address.
    Ip6,
    /// Name, compressed or not.
    Name,
    /// Decimal number of one byte.
    U8,
    /// Decimal number of two bytes.
    U16,
    /// Decimal number of four bytes.
    U32,
    /// Moment as `YYYYMMDDHHmmSS` (RFC 4034 section 3.2).
    Time,
    /// Seconds since 1970 in six bytes (RFC 8945).
    Seconds48,
    /// Record type's mnemonic.
    Type,
    /// Character-string in quotes.
    Text,
    /// Character-string without quotes.
    Word,
    /// Character-strings to the end, at least one, in quotes.
    Texts,
    /// All bytes to the end, in quotes.
    QuotedRest,
    /// All bytes to the end, in hexadecimal.
    Hex,
    /// Bytes after their length in one byte, in hexadecimal; `-` when none.
    Salt,
    /// Bytes after their length in one byte, in base32 with the extended hex alphabet.
    Hash,
    /// All bytes to the end, in base64.
    Base64,
    /// Bytes after their length in two bytes: length and base64.
    Sized64,
    /// 64 bits in four groups (RFC 6742).
    Groups,
    /// All bytes to the end as `xx-xx-...` (RFC 7043).
    Dashed,
    /// Type bitmap to the end (RFC 4034 section 4.1.2).
    Types,
    /// Service parameters to the end (RFC 9460).
    Parameters,
    /// EDNS options to the end (RFC 6891).
    Options,
    /// Address prefixes to the end (RFC 3123).
    Prefixes,
    /// Geographical location (RFC 1876).
    Location,
}

/// A record type: its number, name and fields.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) code: u16,
    pub(super) mnemonic: &'static str,
    /// None where data is shown in the generic form, or there is none: questions only.
    pub(super) fields: Option<&'static [Field]>,
}

/// The layout of a type that has a name.
pub(super) fn of(code: u16) -> Option<&'static Layout> {
    let at = LAYOUTS.binary_search_by_key(&code, |layout| layout.code).ok()?;
    LAYOUTS.get(at)
}

const fn layout(code: u16, mnemonic: &'static str, fields: &'static [Field]) -> Layout {
    Layout { code, mnemonic, fields: Some(fields) }
}

const fn opaque(code: u16, mnemonic: &'static str) -> Layout {
    Layout { code, mnemonic, fields: None }
}

use Field::{
    Base64, Dashed, Groups, Hash, Hex, Ip4, Ip6, Location, Name, Options, Parameters, Prefixes, QuotedRest,
    Salt, Seconds48, Sized64, Text, Texts, Time, Type, Types, U8, U16, U32, Word,
};

const DELEGATION: &[Field] = &[U16, U8, U8, Hex];
const KEY: &[Field] = &[U16, U8, U8, Base64];
const SIGNATURE: &[Field] = &[Type, U8, U8, U32, Time, Time, U16, Name, Base64];
const CERTIFICATE: &[Field] = &[U8, U8, U8, Hex];
const SERVICE: &[Field] = &[U16, Name, Parameters];

/// Sorted by number.
static LAYOUTS: &[Layout] = &[
    layout(1, "A", &[Ip4]),
    layout(2, "NS", &[Name]),
    layout(3, "MD", &[Name]),
    layout(4, "MF", &[Name]),
    layout(5, "CNAME", &[Name]),
    layout(6, "SOA", &[Name, Name, U32, U32, U32, U32, U32]),
    layout(7, "MB", &[Name]),
    layout(8, "MG", &[Name]),
    layout(9, "MR", &[Name]),
    opaque(10, "NULL"),
    opaque(11, "WKS"),
    layout(12, "PTR", &[Name]),
    layout(13, "HINFO", &[Text, Text]),
    layout(14, "MINFO", &[Name, Name]),
    layout(15, "MX", &[U16, Name]),
    layout(16, "TXT", &[Texts]),
    layout(17, "RP", &[Name, Name]),
    layout(18, "AFSDB", &[U16, Name]),
    layout(19, "X25", &[Text]),
    layout(20, "ISDN", &[Texts]),
    layout(21, "RT", &[U16, Name]),
    opaque(22, "NSAP"),
    layout(23, "NSAP-PTR", &[Name]),
    layout(24, "SIG", SIGNATURE),
    layout(25, "KEY", KEY),
    layout(26, "PX", &[U16, Name, Name]),
    layout(27, "GPOS", &[Text, Text, Text]),
    layout(28, "AAAA", &[Ip6]),
    layout(29, "LOC", &[Location]),
    opaque(30, "NXT"),
    opaque(31, "EID"),
    opaque(32, "NIMLOC"),
    layout(33, "SRV", &[U16, U16, U16, Name]),
    opaque(34, "ATMA"),
    layout(35, "NAPTR", &[U16, U16, Text, Text, Text, Name]),
    layout(36, "KX", &[U16, Name]),
    layout(37, "CERT", &[U16, U16, U8, Base64]),
    opaque(38, "A6"),
    layout(39, "DNAME", &[Name]),
    opaque(40, "SINK"),
    layout(41, "OPT", &[Options]),
    layout(42, "APL", &[Prefixes]),
    layout(43, "DS", DELEGATION),
    layout(44, "SSHFP", &[U8, U8, Hex]),
    opaque(45, "IPSECKEY"),
    layout(46, "RRSIG", SIGNATURE),
    layout(47, "NSEC", &[Name, Types]),
    layout(48, "DNSKEY", KEY),
    layout(49, "DHCID", &[Base64]),
    layout(50, "NSEC3", &[U8, U8, U16, Salt, Hash, Types]),
    layout(51, "NSEC3PARAM", &[U8, U8, U16, Salt]),
    layout(52, "TLSA", CERTIFICATE),
    layout(53, "SMIMEA", CERTIFICATE),
    opaque(55, "HIP"),
    layout(56, "NINFO", &[Texts]),
    layout(57, "RKEY", KEY),
    layout(58, "TALINK", &[Name, Name]),
    layout(59, "CDS", DELEGATION),
    layout(60, "CDNSKEY", KEY),
    layout(61, "OPENPGPKEY", &[Base64]),
    layout(62, "CSYNC", &[U32, U16, Types]),
    layout(63, "ZONEMD", &[U32, U8, U8, Hex]),
    layout(64, "SVCB", SERVICE),
    layout(65, "HTTPS", SERVICE),
    layout(99, "SPF", &[Texts]),
    opaque(100, "UINFO"),
    opaque(101, "UID"),
    opaque(102, "GID"),
    opaque(103, "UNSPEC"),
    layout(104, "NID", &[U16, Groups]),
    layout(105, "L32", &[U16, Ip4]),
    layout(106, "L64", &[U16, Groups]),
    layout(107, "LP", &[U16, Name]),
    layout(108, "EUI48", &[Dashed]),
    layout(109, "EUI64", &[Dashed]),
    opaque(128, "NXNAME"),
    layout(249, "TKEY", &[Name, Time, Time, U16, U16, Sized64, Sized64]),
    layout(250, "TSIG", &[Name, Seconds48, U16, Sized64, U16, U16, Sized64]),
    opaque(251, "IXFR"),
    opaque(252, "AXFR"),
    opaque(253, "MAILB"),
    opaque(254, "MAILA"),
    opaque(255, "ANY"),
    layout(256, "URI", &[U16, U16, QuotedRest]),
    layout(257, "CAA", &[U8, Word, QuotedRest]),
    layout(258, "AVC", &[Texts]),
    opaque(259, "DOA"),
    opaque(260, "AMTRELAY"),
    opaque(261, "RESINFO"),
    layout(32_768, "TA", DELEGATION),
    layout(32_769, "DLV", DELEGATION),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_so_that_each_is_found() {
        assert!(LAYOUTS.is_sorted_by(|one, next| one.code < next.code));
        assert_eq!(of(65).map(|layout| layout.mnemonic), Some("HTTPS"));
    }
}
