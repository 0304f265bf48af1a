//! The screen never allocates for a message that no feed lists, nor for one that a feed does.

#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

use namewarden_agent::pipeline::screen::Screen;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey, ThreatSet};

fn set() -> ThreatSet {
    let mut builder = Builder::new(SetKey([7; 16]), 1, 1);
    let feed = FeedInfo { name: "test".into(), description: "".into(), severity: 75, techniques: [].into() };
    let feed = builder.feed(feed).unwrap();
    for number in 0..1000 {
        let name = format!("n{number}.example");
        builder.add(feed, &Entry { name: &name, scope: Scope::Both, verdict: Verdict::Listed, line: 1 });
    }
    builder.build().unwrap()
}

/// A question and `answers` CNAME records that each point to it.
fn message(asked: &str, answers: u16) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1];
    bytes.extend(answers.to_be_bytes());
    bytes.extend([0; 4]);
    for label in asked.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    for _ in 0..answers {
        bytes.extend([3, b'w', b'w', b'w', 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
    }
    bytes
}

#[test]
fn no_message_makes_the_screen_allocate() {
    let set = set();
    let mut screen = Screen::new();
    let deep = message("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.unlisted.example", 3500);
    let listed = message("n500.example", 1000);
    let messages = [
        message("www.unlisted.example", 0),
        message("unlisted.example", 5),
        deep,
        listed,
        vec![0xff; 60_000],
    ];
    for (message, hits) in messages.iter().zip([false, false, false, true, false]) {
        let mut found = 0;
        let used = allocation_counter::measure(|| found = screen.candidates(message, &set).candidates.len());
        assert_eq!(found > 0, hits);
        assert_eq!(used.count_total, 0, "message of {} bytes", message.len());
    }
}
