//! The stage's book-keeping.

/// Messages and exchanges by what became of them: `messages = joined + queries + lone_answers` and
/// `queries + lone_answers = logged + unlogged + excluded + sampled_out + waiting`, where `logged` counts every exchange that a
/// document stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsLogCounts {
    /// Messages that another agent of the node logs: they came before this one's turn, and are none of the others.
    pub left_to_another: u64,
    /// Messages that came in.
    pub messages: u64,
    /// Answers that were joined with their query.
    pub joined: u64,
    /// Queries.
    pub queries: u64,
    /// Answers whose query was not seen.
    pub lone_answers: u64,
    /// Queries logged without an answer.
    pub unanswered: u64,
    /// Of those, queries that had to make room before their time was up.
    pub evicted: u64,
    /// Exchanges that were parsed; one whose bytes are like those of another of its interval is counted without it.
    pub parsed: u64,
    /// Exchanges of which a message could not be read to its end.
    pub malformed: u64,
    /// Exchanges that a document stands for, or will at the end of the interval.
    pub logged: u64,
    /// Of those, exchanges of search lists that are folded into the log of what was meant.
    pub folded: u64,
    /// Exchanges beyond their workload's share of the limit.
    pub unlogged: u64,
    /// Exchanges whose name is left out.
    pub excluded: u64,
    /// Exchanges that were not drawn.
    pub sampled_out: u64,
    /// Exchanges that wait now: for their answer, or for the name that was meant.
    pub waiting: u64,
    /// Documents handed out.
    pub documents: u64,
}
