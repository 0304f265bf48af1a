//! Which client asks what, in which pod, and what should come of it.

/// The DNS server's zone, below its SOA and NS.
pub const ZONE: &str = "\
shop               A     10.99.0.53
www.shop           A     10.99.0.53
www.shop           AAAA  fd99::53
static.shop        CNAME edge.cdn
edge.cdn           CNAME rat
rat                A     10.99.0.53
c2                 A     10.99.0.53
rat                AAAA  fd99::53
loader             AAAA  fd99::53
loader             A     10.99.0.53
www.paypa1         A     10.99.0.53
help.paypa1        A     10.99.0.53
";

/// The pods, in the order of the stage.
pub const PODS: [&str; 3] = ["cart", "worker", "frontend"];

/// The feed that names are pushed to.
pub const PUSHED: &str = "incident";

/// Steps under one heading.
pub struct Scene {
    pub title: &'static str,
    /// Names that are pushed before the steps.
    pub push: &'static [&'static str],
    pub steps: &'static [Step],
}

/// One client, run to its end.
pub struct Step {
    /// Index into `PODS`.
    pub pod: usize,
    pub command: &'static [&'static str],
    /// What is special about it, in a few words.
    pub note: &'static str,
    /// DNS questions that it asks.
    pub questions: u64,
    /// Whether the agent should raise an alert.
    pub alerts: bool,
}

const WEB_PROBE: [&str; 6] = ["curl", "-s", "-o", "/dev/null", "-w", "%{remote_ip}"];

const LOOKUP: &str = "import socket; print(socket.gethostbyname('static.shop.example'))";

/// What is shown.
pub const SCENES: &[Scene] = &[
    Scene {
        title: "Ordinary names: no alert",
        push: &[],
        steps: &[
            Step {
                pod: 0,
                command: &["dig", "@10.99.0.53", "+short", "www.shop.example"],
                note: "over UDP",
                questions: 1,
                alerts: false,
            },
            Step {
                pod: 2,
                command: &["getent", "ahosts", "www.shop.example"],
                note: "both address families",
                questions: 2,
                alerts: false,
            },
            Step {
                pod: 0,
                command: &["dig", "@10.99.0.53", "+short", "help.paypa1.example"],
                note: "excepted by the feed",
                questions: 1,
                alerts: false,
            },
            Step {
                pod: 1,
                command: &["dig", "@10.99.0.53", "+short", "c2.example"],
                note: "not listed yet",
                questions: 1,
                alerts: false,
            },
        ],
    },
    Scene {
        title: "Listed names: one alert for each pod and entry",
        push: &[],
        steps: &[
            Step {
                pod: 0,
                command: &[
                    WEB_PROBE[0],
                    WEB_PROBE[1],
                    WEB_PROBE[2],
                    WEB_PROBE[3],
                    WEB_PROBE[4],
                    WEB_PROBE[5],
                    "http://www.paypa1.example/",
                ],
                note: "below a listed name",
                questions: 2,
                alerts: true,
            },
            Step {
                pod: 1,
                command: &["dig", "@10.99.0.53", "+tcp", "+short", "rat.example"],
                note: "over TCP",
                questions: 1,
                alerts: true,
            },
            Step {
                pod: 1,
                command: &["dig", "@fd99::53", "+short", "loader.example", "AAAA"],
                note: "over IPv6",
                questions: 1,
                alerts: true,
            },
            Step {
                pod: 2,
                command: &["python3", "-c", LOOKUP],
                note: "listed as an alias's target",
                questions: 1,
                alerts: true,
            },
        ],
    },
    Scene {
        title: "A name is pushed to the controller: the next question for it alerts",
        push: &["c2.example"],
        steps: &[Step {
            pod: 1,
            command: &["dig", "@10.99.0.53", "+short", "c2.example"],
            note: "the same question as before",
            questions: 1,
            alerts: true,
        }],
    },
    Scene {
        title: "The same again: counted, not repeated",
        push: &[],
        steps: &[Step {
            pod: 1,
            command: &["getent", "ahosts", "rat.example"],
            note: "second and third time",
            questions: 2,
            alerts: false,
        }],
    },
];
