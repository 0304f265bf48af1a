//! What the dashboard for Grafana shows: each panel a question to the metrics of agents and controllers.

/// A group of panels.
pub struct Row {
    /// Its title.
    pub title: &'static str,
    /// From the left.
    pub panels: &'static [Panel],
}

/// A panel.
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// What it says, and what to do about it.
    pub help: &'static str,
    /// A number, or lines over time.
    pub is_number: bool,
    /// As Grafana calls it.
    pub unit: &'static str,
    /// Of 24 columns.
    pub width: u32,
    /// Expression and legend.
    pub queries: &'static [(&'static str, &'static str)],
}

const fn number(
    title: &'static str,
    unit: &'static str,
    query: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, help: "", is_number: true, unit, width: 4, queries: query }
}

const fn lines(
    title: &'static str,
    help: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, help, is_number: false, unit, width: 8, queries }
}

/// From the top.
pub const ROWS: &[Row] = &[
    Row {
        title: "At a glance",
        panels: &[
            number("Agents", "short", &[("count(namewarden_agent_uptime_seconds)", "")]),
            number(
                "Packets seen",
                "pps",
                &[("sum(rate(namewarden_kernel_seen_total[$__rate_interval]))", "")],
            ),
            number(
                "DNS messages screened",
                "cps",
                &[("sum(rate(namewarden_screen_messages_total[$__rate_interval]))", "")],
            ),
            number("Alerts in 24 h", "short", &[("sum(increase(namewarden_roll_up_alerts_total[24h]))", "")]),
            number("Packets lost in 24 h", "short", &[(LOST_IN_A_DAY, "")]),
            number("Names in the set", "short", &[("max(namewarden_agent_set_entries)", "")]),
        ],
    },
    Row {
        title: "Detection",
        panels: &[
            lines(
                "Alerts",
                "Alerts handed out, by node.",
                "cpm",
                &[(
                    "sum by (node, pod) (rate(namewarden_roll_up_alerts_total[$__rate_interval])) * 60",
                    "{{node}} {{pod}}",
                )],
            ),
            lines(
                "How workloads are found",
                "Address only, or not at all: see attribution in the reference of documents.",
                "cps",
                &[
                    ("sum(rate(namewarden_attribute_process_total[$__rate_interval]))", "process"),
                    ("sum(rate(namewarden_attribute_cgroup_total[$__rate_interval]))", "cgroup"),
                    ("sum(rate(namewarden_attribute_address_total[$__rate_interval]))", "address only"),
                    ("sum(rate(namewarden_attribute_none_total[$__rate_interval]))", "not found"),
                ],
            ),
            lines(
                "Names of pods",
                "Pods known, and alerts that went out by UID because no name came.",
                "short",
                &[
                    ("sum(namewarden_pods_known)", "pods known"),
                    ("sum(increase(namewarden_naming_unnamed_total[1h]))", "alerts by UID in an hour"),
                    ("sum(increase(namewarden_pods_broken_total[1h]))", "watches broken in an hour"),
                ],
            ),
        ],
    },
    Row {
        title: "Loss",
        panels: &[
            lines(
                "Packets lost",
                "The ring buffer was full: raise agent.ringKib, or give the agent more CPU.",
                "pps",
                &[
                    ("sum by (pod) (rate(namewarden_kernel_lost_total[$__rate_interval]))", "lost {{pod}}"),
                    (
                        "sum by (pod) (rate(namewarden_kernel_partly_lost_total[$__rate_interval]))",
                        "in part {{pod}}",
                    ),
                ],
            ),
            lines(
                "Packets beyond a budget",
                "A workload floods: a document of kind flood says which.",
                "pps",
                &[
                    (
                        "sum by (pod) (rate(namewarden_kernel_flood_cgroup_total[$__rate_interval]))",
                        "by cgroup {{pod}}",
                    ),
                    (
                        "sum by (pod) (rate(namewarden_kernel_flood_socket_total[$__rate_interval]))",
                        "by socket {{pod}}",
                    ),
                ],
            ),
            lines(
                "Documents lost",
                "Queues that were full, spools that were full, documents that a server refused.",
                "short",
                &[
                    ("sum(increase(namewarden_alert_documents_dropped_total[1h]))", "alerts, queue"),
                    ("sum(increase(namewarden_alert_spool_dropped_size_total[1h]))", "alerts, spool full"),
                    ("sum(increase(namewarden_alert_spool_dropped_age_total[1h]))", "alerts, too old"),
                    ("sum(increase(namewarden_alert_spool_dropped_disk_total[1h]))", "alerts, disk"),
                    ("sum(increase(namewarden_alert_spool_damaged_total[1h]))", "alerts, damaged"),
                    ("sum(increase(namewarden_alert_documents_failed_total[1h]))", "alerts, not written"),
                    ("sum(increase(namewarden_alert_spool_refused_total[1h]))", "alerts, refused"),
                    ("sum(increase(namewarden_left_documents_lost_total[1h]))", "left by earlier agents"),
                    (
                        "sum(increase(namewarden_dns_log_spool_dropped_size_total[1h]))",
                        "DNS logs, spool full",
                    ),
                    ("sum(increase(namewarden_dns_log_spool_refused_total[1h]))", "DNS logs, refused"),
                ],
            ),
        ],
    },
    Row {
        title: "Documents",
        panels: &[
            lines(
                "Waiting on nodes",
                "Documents in spools: nobody takes them, or not fast enough.",
                "short",
                &[
                    ("sum by (pod) (namewarden_alert_spool_waiting)", "alerts {{pod}}"),
                    ("sum by (pod) (namewarden_dns_log_spool_waiting)", "DNS logs {{pod}}"),
                ],
            ),
            lines(
                "Taken",
                "Documents that a server has.",
                "cps",
                &[
                    ("sum(rate(namewarden_alert_spool_acknowledged_total[$__rate_interval]))", "alerts"),
                    ("sum(rate(namewarden_dns_log_spool_acknowledged_total[$__rate_interval]))", "DNS logs"),
                ],
            ),
            lines(
                "Exchanges logged",
                "What DNS logs stand for, and what was left out.",
                "cps",
                &[
                    ("sum(rate(namewarden_dns_log_logged_total[$__rate_interval]))", "logged"),
                    ("sum(rate(namewarden_dns_log_unlogged_total[$__rate_interval]))", "beyond the limit"),
                    ("sum(rate(namewarden_dns_log_excluded_total[$__rate_interval]))", "excluded"),
                    ("sum(rate(namewarden_dns_log_unanswered_total[$__rate_interval]))", "unanswered"),
                ],
            ),
        ],
    },
    Row {
        title: "Feeds and the set",
        panels: &[
            lines(
                "Feeds by state",
                "What `kubectl get globalthreatfeeds` says, counted.",
                "short",
                &[("max by (state) (namewarden_controller_feeds)", "{{state}}")],
            ),
            lines(
                "Entries by feed",
                "A feed that shrinks by half keeps its last copy until it says so twice.",
                "short",
                &[("max by (feed) (namewarden_controller_feed_entries)", "{{feed}}")],
            ),
            lines(
                "Rejected lines by feed",
                "`kubectl describe` shows the first of them, and why.",
                "short",
                &[("max by (feed) (namewarden_controller_feed_rejected_lines)", "{{feed}}")],
            ),
            lines(
                "Lists read",
                "Pulled or pushed, by what came of it.",
                "short",
                &[(
                    "sum by (result) (increase(namewarden_controller_lists_read_total[1h]))",
                    "{{result}} in an hour",
                )],
            ),
            lines(
                "Agents by set",
                "Agents that stay on an old number do not hear from the controller.",
                "short",
                &[("max by (set) (namewarden_controller_agents)", "set {{set}}")],
            ),
            lines(
                "Since the controller answered",
                "By agent; detection goes on with the set that it has.",
                "s",
                &[("max by (pod) (namewarden_controller_answer_age_seconds)", "{{pod}}")],
            ),
        ],
    },
    Row {
        title: "The controller",
        panels: &[
            lines(
                "Requests",
                "Answered, by status.",
                "reqps",
                &[(
                    "sum by (status) (rate(namewarden_controller_requests_total[$__rate_interval]))",
                    "{{status}}",
                )],
            ),
            lines(
                "Who leads",
                "One controller pulls feeds and makes the set.",
                "short",
                &[("namewarden_controller_leader", "{{pod}}")],
            ),
            lines(
                "Embedded store",
                "Bytes on disk; nothing where there is a search engine.",
                "bytes",
                &[("max by (stream) (namewarden_controller_store_bytes)", "{{stream}}")],
            ),
        ],
    },
];

const LOST_IN_A_DAY: &str = "sum(increase(namewarden_kernel_lost_total[24h])) + sum(increase(namewarden_kernel_partly_lost_total[24h]))";
