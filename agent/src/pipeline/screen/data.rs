//! Which record types hold names in their data, and where: by number, so that nothing depends on a parser.
//!
//! Left out on purpose are names that say nothing about what a client asked for or was told to go to: signer and next
//! names of DNSSEC (RRSIG, NSEC), and the names of EDNS, TKEY and TSIG.

/// Where the names of a record's data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Bytes before the first name.
    skip: usize,
    /// Character strings between those and the first name.
    strings: usize,
    /// Names, one behind the other.
    pub names: usize,
}

impl Fields {
    /// Where the first name begins, for data that begins at `start`; `None` beyond the message's end.
    pub fn first_name(self, message: &[u8], start: usize) -> Option<usize> {
        let mut at = start + self.skip;
        for _ in 0..self.strings {
            at += 1 + usize::from(*message.get(at)?);
        }
        Some(at)
    }
}

/// `None` for a type whose data holds no names of interest.
pub fn fields(rr_type: u16) -> Option<Fields> {
    let (skip, strings, names) = match rr_type {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR (RFC 1035), NSAP-PTR (RFC 1706), DNAME (RFC 6672).
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 23 | 39 => (0, 0, 1),
        // SOA, MINFO (RFC 1035), RP (RFC 1183), TALINK.
        6 | 14 | 17 | 58 => (0, 0, 2),
        // MX (RFC 1035), AFSDB, RT (RFC 1183), KX (RFC 2230), SVCB, HTTPS (RFC 9460), LP (RFC 6742): preference first.
        15 | 18 | 21 | 36 | 64 | 65 | 107 => (2, 0, 1),
        // PX (RFC 2163).
        26 => (2, 0, 2),
        // SRV (RFC 2782): priority, weight, port.
        33 => (6, 0, 1),
        // NAPTR (RFC 3403): order, preference; flags, services, regexp.
        35 => (4, 3, 1),
        _ => return None,
    };
    Some(Fields { skip, strings, names })
}
