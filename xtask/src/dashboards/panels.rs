//! What the dashboards show: each panel a question that a person has, in the order in which one asks.

/// A dashboard.
pub struct Dashboard {
    /// Part of the ids of its objects.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Its data stream's pattern.
    pub pattern: &'static str,
    /// Time that it shows at first.
    pub from: &'static str,
    /// From the top left; each row is 48 wide.
    pub panels: &'static [Panel],
}

/// A panel.
pub struct Panel {
    /// Part of its id.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Of 48 columns.
    pub width: u32,
    /// In rows of about 20 pixels.
    pub height: u32,
    /// Which documents, in the query language of both (Lucene); empty: all.
    pub query: &'static str,
    /// What of them.
    pub shows: Shows,
}

/// What a panel shows.
pub enum Shows {
    /// Numbers.
    Numbers(&'static [Measure]),
    /// Bars over time, parted by a field.
    OverTime {
        /// Height of a bar.
        measure: Measure,
        /// What parts it.
        by: &'static str,
        /// Parts at most.
        size: u32,
    },
    /// A line over time for each measure.
    Lines(&'static [Measure]),
    /// The most frequent values as bars.
    Bars {
        /// Length of a bar.
        measure: Measure,
        /// Whose values.
        by: Field,
        /// Values at most.
        size: u32,
    },
    /// The shares of values.
    Shares {
        /// Size of a share.
        measure: Measure,
        /// Whose values.
        by: Field,
    },
    /// The most frequent combinations of values.
    Table {
        /// What is counted.
        measures: &'static [Measure],
        /// Whose values.
        by: &'static [Field],
        /// Rows at most.
        size: u32,
    },
    /// The documents, the newest first.
    Documents(&'static [&'static str]),
}

/// A figure of documents.
#[derive(Clone, Copy)]
pub struct Measure {
    /// How it is made.
    pub kind: Kind,
    /// Of which field; empty where documents are counted.
    pub field: &'static str,
    /// What a person reads.
    pub label: &'static str,
}

/// How a figure is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Number of different values.
    Different,
    /// Sum.
    Sum,
    /// Mean.
    Mean,
    /// Greatest.
    Greatest,
}

/// A field and what a person reads of it.
#[derive(Clone, Copy)]
pub struct Field {
    /// Its path.
    pub path: &'static str,
    /// What a person reads.
    pub label: &'static str,
}

const ALERTS: Measure = Measure { kind: Kind::Different, field: "namewarden.group", label: "Alerts" };
const SIGHTINGS: Measure = Measure { kind: Kind::Sum, field: "namewarden.count", label: "Sightings" };
const QUERIES: Measure = Measure { kind: Kind::Sum, field: "namewarden.count", label: "Queries" };
const LISTED: &str = "event.action:\"listed-name\"";
const LOGS: &str = "event.action:\"dns-log\"";

/// Every dashboard.
pub const DASHBOARDS: &[Dashboard] = &[SECURITY, DNS];

const SECURITY: Dashboard = Dashboard {
    key: "security",
    title: "Namewarden: security events",
    description: "Workloads that asked for names that threat feeds list. An alert is one workload, entry and hour.",
    pattern: "logs-namewarden.alert-*",
    from: "now-7d",
    panels: &[
        Panel {
            key: "numbers",
            title: "At a glance",
            width: 48,
            height: 6,
            query: LISTED,
            shows: Shows::Numbers(&[
                ALERTS,
                SIGHTINGS,
                Measure { kind: Kind::Different, field: "threat.indicator.name", label: "Listed names" },
                Measure { kind: Kind::Different, field: "kubernetes.namespace", label: "Namespaces" },
                Measure { kind: Kind::Different, field: "kubernetes.pod.uid", label: "Pods" },
                Measure { kind: Kind::Greatest, field: "event.severity", label: "Highest severity" },
            ]),
        },
        Panel {
            key: "over-time",
            title: "Alerts by feed",
            width: 32,
            height: 12,
            query: LISTED,
            shows: Shows::OverTime { measure: ALERTS, by: "threat.feed.name", size: 8 },
        },
        Panel {
            key: "by-feed",
            title: "Feeds",
            width: 16,
            height: 12,
            query: LISTED,
            shows: Shows::Shares { measure: ALERTS, by: Field { path: "threat.feed.name", label: "Feed" } },
        },
        Panel {
            key: "entries",
            title: "Listed names",
            width: 16,
            height: 14,
            query: LISTED,
            shows: Shows::Bars {
                measure: ALERTS,
                by: Field { path: "threat.indicator.name", label: "Entry" },
                size: 10,
            },
        },
        Panel {
            key: "workloads",
            title: "Who asked",
            width: 32,
            height: 14,
            query: LISTED,
            shows: Shows::Table {
                measures: &[ALERTS, SIGHTINGS],
                by: &[
                    Field { path: "kubernetes.namespace", label: "Namespace" },
                    Field { path: "kubernetes.owner.name", label: "Owner" },
                    Field { path: "kubernetes.pod.name", label: "Pod" },
                ],
                size: 10,
            },
        },
        Panel {
            key: "techniques",
            title: "MITRE ATT&CK techniques",
            width: 16,
            height: 10,
            query: LISTED,
            shows: Shows::Shares {
                measure: ALERTS,
                by: Field { path: "threat.technique.id", label: "Technique" },
            },
        },
        Panel {
            key: "processes",
            title: "Processes",
            width: 16,
            height: 10,
            query: LISTED,
            shows: Shows::Bars {
                measure: ALERTS,
                by: Field { path: "process.name", label: "Process" },
                size: 10,
            },
        },
        Panel {
            key: "unseen",
            title: "What was not seen: floods, limits, times without capture",
            width: 16,
            height: 10,
            query: "event.action:(\"flood\" OR \"limit-reached\" OR \"capture-gap\")",
            shows: Shows::Table {
                measures: &[Measure { kind: Kind::Different, field: "event.id", label: "Documents" }],
                by: &[
                    Field { path: "event.action", label: "What" },
                    Field { path: "host.name", label: "Node" },
                ],
                size: 10,
            },
        },
        Panel {
            key: "events",
            title: "Security events",
            width: 48,
            height: 20,
            query: "",
            shows: Shows::Documents(&["event.severity", "message", "dns.response_code", "host.name"]),
        },
    ],
};

const DNS: Dashboard = Dashboard {
    key: "dns",
    title: "Namewarden: DNS logs",
    description: "What workloads ask, what they are answered, and how long it takes.",
    pattern: "logs-namewarden.dns-*",
    from: "now-24h",
    panels: &[
        Panel {
            key: "numbers",
            title: "At a glance",
            width: 48,
            height: 6,
            query: LOGS,
            shows: Shows::Numbers(&[
                QUERIES,
                Measure { kind: Kind::Different, field: "dns.question.name", label: "Names" },
                Measure {
                    kind: Kind::Different,
                    field: "dns.question.registered_domain",
                    label: "Registered domains",
                },
                Measure { kind: Kind::Different, field: "server.ip", label: "Servers" },
                Measure {
                    kind: Kind::Greatest,
                    field: "namewarden.latency.max",
                    label: "Longest answer (ns)",
                },
            ]),
        },
        Panel {
            key: "over-time",
            title: "Queries by response code",
            width: 32,
            height: 12,
            query: LOGS,
            shows: Shows::OverTime { measure: QUERIES, by: "dns.response_code", size: 6 },
        },
        Panel {
            key: "types",
            title: "Record types",
            width: 16,
            height: 12,
            query: LOGS,
            shows: Shows::Shares { measure: QUERIES, by: Field { path: "dns.question.type", label: "Type" } },
        },
        Panel {
            key: "domains",
            title: "Registered domains",
            width: 16,
            height: 14,
            query: LOGS,
            shows: Shows::Bars {
                measure: QUERIES,
                by: Field { path: "dns.question.registered_domain", label: "Domain" },
                size: 10,
            },
        },
        Panel {
            key: "workloads",
            title: "Who asks",
            width: 16,
            height: 14,
            query: LOGS,
            shows: Shows::Table {
                measures: &[QUERIES],
                by: &[
                    Field { path: "kubernetes.namespace", label: "Namespace" },
                    Field { path: "kubernetes.owner.name", label: "Owner" },
                ],
                size: 10,
            },
        },
        Panel {
            key: "failures",
            title: "Answers other than NOERROR",
            width: 16,
            height: 14,
            query: "event.action:\"dns-log\" AND event.outcome:\"failure\"",
            shows: Shows::Table {
                measures: &[QUERIES],
                by: &[
                    Field { path: "dns.response_code", label: "Code" },
                    Field { path: "dns.question.name", label: "Name" },
                ],
                size: 10,
            },
        },
        Panel {
            key: "latency",
            title: "Time from query to answer (ns)",
            width: 32,
            height: 12,
            query: LOGS,
            shows: Shows::Lines(&[
                Measure { kind: Kind::Mean, field: "namewarden.latency.mean", label: "Mean" },
                Measure { kind: Kind::Greatest, field: "namewarden.latency.max", label: "Longest" },
            ]),
        },
        Panel {
            key: "unlogged",
            title: "Exchanges beyond the limit, not logged",
            width: 16,
            height: 12,
            query: "event.action:\"unlogged\"",
            shows: Shows::Table {
                measures: &[Measure { kind: Kind::Sum, field: "namewarden.count", label: "Exchanges" }],
                by: &[Field { path: "host.name", label: "Node" }],
                size: 10,
            },
        },
        Panel {
            key: "logs",
            title: "DNS logs",
            width: 48,
            height: 20,
            query: LOGS,
            shows: Shows::Documents(&["message", "dns.question.type", "namewarden.count", "host.name"]),
        },
    ],
};
