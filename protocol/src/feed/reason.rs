//! Why a line, or one item of it, is not taken: in plain words and as a short one.

use crate::name::NameError;

/// Why a line, or one item of it, is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// What stands where a name should is none.
    #[error("{0}")]
    Name(NameError),
    /// Longer than any line of a list.
    #[error("the line is longer than 16 KiB")]
    LineTooLong,
    /// Bytes that are no UTF-8.
    #[error("the line is not UTF-8 text")]
    NotUtf8,
    /// A URL: its host may be innocent.
    #[error("a URL, not a domain name: the list is about one page, its host may be innocent")]
    Url,
    /// hosts: no address at the start.
    #[error("a hosts line starts with an IP address")]
    HostsAddress,
    /// hosts: an address that is neither unspecified nor loopback.
    #[error(
        "the line gives the name an address of its own: that is no block (0.0.0.0, 127.0.0.1, ::, ::1 are)"
    )]
    HostsTarget,
    /// hosts: an address and nothing else.
    #[error("an address without a name")]
    HostsNoName,
    /// hosts: `0.0.0.0evil.example`.
    #[error("white space is missing between the address and the name")]
    HostsNoSpace,
    /// adblock: hides elements of pages, or runs scripts in them.
    #[error("a rule about elements of a page, not about a name")]
    AdblockCosmetic,
    /// adblock: `/pattern/`.
    #[error("a regular expression is not matched against names")]
    AdblockRegex,
    /// adblock: a modifier that narrows the rule.
    #[error("the modifiers after `$` narrow the rule: it is not about every request to the name")]
    AdblockModifier,
    /// adblock: `$badfilter`.
    #[error(
        "`$badfilter` switches off one rule of the list; as an exception it would take out more than that"
    )]
    AdblockBadfilter,
    /// adblock: a path.
    #[error("a rule about a path: the rest of the host may be innocent")]
    AdblockPath,
    /// adblock: a wildcard or a piece of a name.
    #[error("a pattern that is no whole name (`||example.com^` is)")]
    AdblockPattern,
    /// dnsmasq: an option that lists no name.
    #[error("not a dnsmasq line that lists a name (`local=/example.com/`, `address=/example.com/0.0.0.0`)")]
    DnsmasqOption,
    /// dnsmasq: `server=/x/192.0.2.1`.
    #[error("the line sends the name to a server of its own: that is no block")]
    DnsmasqUpstream,
    /// dnsmasq: `address=/x/192.0.2.1`.
    #[error("the line gives the name an address of its own: that is no block (0.0.0.0, ::, # are)")]
    DnsmasqTarget,
    /// unbound's configuration.
    #[error("unbound's configuration is not read; use the list's RPZ, dnsmasq or plain form")]
    Unbound,
    /// RPZ: a line that is no resource record.
    #[error("not a resource record of a zone file")]
    RpzRecord,
    /// RPZ: `$INCLUDE`, `$GENERATE` and the like.
    #[error("only $ORIGIN and $TTL are followed in a zone file")]
    RpzDirective,
    /// RPZ: parentheses that do not close.
    #[error("the parentheses of the record do not match")]
    RpzParentheses,
    /// RPZ: an owner outside the zone.
    #[error("the owner name is not below the zone's own name ($ORIGIN or the SOA's owner)")]
    RpzZone,
    /// RPZ: rpz-ip, rpz-client-ip, rpz-nsdname, rpz-nsip.
    #[error("a trigger on an address or a name server, not on a name that is asked for")]
    RpzTrigger,
    /// RPZ: `CNAME rpz-tcp-only.`
    #[error("rpz-tcp-only makes the client ask again over TCP: that is no block")]
    RpzTcpOnly,
    /// CSV: a quote opens and does not close.
    #[error("a quoted field does not end")]
    CsvQuote,
    /// CSV: more or fewer fields than the others have.
    #[error(
        "the record has another number of fields than it should (`recordSize`, or as many as the first record)"
    )]
    CsvRecordSize,
    /// CSV: fewer fields than the position of the name.
    #[error("the record has no such field (`fieldNum` counts from 0)")]
    CsvColumn,
    /// JSON: a number, an object, a list.
    #[error("the path leads to something that is no string")]
    JsonNotString,
}

impl Reason {
    /// A short word for it, for labels of metrics and machine-readable output.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Name(error) => name_slug(error),
            Self::LineTooLong => "line-too-long",
            Self::NotUtf8 => "not-utf8",
            Self::Url => "url",
            Self::HostsAddress => "hosts-address",
            Self::HostsTarget => "hosts-target",
            Self::HostsNoName => "hosts-no-name",
            Self::HostsNoSpace => "hosts-no-space",
            Self::AdblockCosmetic => "adblock-cosmetic",
            Self::AdblockRegex => "adblock-regex",
            Self::AdblockModifier => "adblock-modifier",
            Self::AdblockBadfilter => "adblock-badfilter",
            Self::AdblockPath => "adblock-path",
            Self::AdblockPattern => "adblock-pattern",
            Self::DnsmasqOption => "dnsmasq-option",
            Self::DnsmasqUpstream => "dnsmasq-upstream",
            Self::DnsmasqTarget => "dnsmasq-target",
            Self::Unbound => "unbound",
            Self::RpzRecord => "rpz-record",
            Self::RpzDirective => "rpz-directive",
            Self::RpzParentheses => "rpz-parentheses",
            Self::RpzZone => "rpz-zone",
            Self::RpzTrigger => "rpz-trigger",
            Self::RpzTcpOnly => "rpz-tcp-only",
            Self::CsvQuote => "csv-quote",
            Self::CsvRecordSize => "csv-record-size",
            Self::CsvColumn => "csv-column",
            Self::JsonNotString => "json-not-string",
        }
    }
}

fn name_slug(error: NameError) -> &'static str {
    match error {
        NameError::Empty => "name-empty",
        NameError::EmptyLabel => "name-empty-label",
        NameError::LabelTooLong => "name-label-too-long",
        NameError::NameTooLong => "name-too-long",
        NameError::Address => "name-address",
        NameError::NumericEnd => "name-numeric-end",
        NameError::Wildcard => "name-wildcard",
        NameError::Space => "name-space",
        NameError::Character => "name-character",
        NameError::Idna => "name-idna",
        NameError::SingleLabel => "name-single-label",
    }
}
