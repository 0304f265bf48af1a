//! How fast the embedded store keeps documents and finds them again: `store [DOCUMENTS] [FOLDER]` (1,000,000 in a folder of its
//! own). Alerts of 2,000 pods and 5,000 entries, sent by four at once as agents send them, 500 in a request. For `cargo xtask bench`
//! it prints `{"name":…,"value":…}` too: documents a second, and the longest time of each kind of question in milliseconds.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context as _;
use bytes::Bytes;
use namewarden_controller::store::{
    Field, Filter, Histogram, Incoming, Order, Outcome, Search, State, Store, Stream, Top,
    sqlite::{Settings, SqliteStore},
};
use namewarden_protocol::document::Time;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUEST: u64 = 500;
const SENDERS: u64 = 4;
const PODS: u64 = 2000;
const ENTRIES: u64 = 5000;
/// Documents of a second.
const RATE: u64 = 10;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let documents: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse()).context("DOCUMENTS")?;
    let folder = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("namewarden-store-{}", std::process::id())),
        PathBuf::from,
    );
    let year = std::time::Duration::from_hours(24 * 365);
    let settings = Settings { alerts_age: year, logs_age: year, bytes: u64::MAX };
    let store = Arc::new(SqliteStore::open(&folder, settings)?);
    let end = now();
    let begin = Time(end.0 - documents / RATE * 1_000_000_000);
    fill(&store, documents, begin).await?;
    ask(&*store, documents, begin, end).await?;
    drop(store);
    let bytes: u64 =
        std::fs::read_dir(&folder)?.flatten().flat_map(|file| file.metadata()).map(|it| it.len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let each = bytes as f64 / documents.max(1) as f64;
    println!("{} MiB on disk, {each:.0} bytes a document", bytes >> 20);
    figure("store_bytes", each);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// For the bench.
fn figure(name: &str, value: f64) {
    println!("{{\"name\":\"{name}\",\"value\":{value}}}");
}

fn now() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(now.as_nanos()).unwrap_or_default())
}

/// Several senders, each with one request on its way.
async fn fill(store: &Arc<SqliteStore>, documents: u64, begin: Time) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let store = Arc::clone(store);
        senders.spawn(async move {
            let mut from = sender * REQUEST;
            while from < documents {
                let request = (from..(from + REQUEST).min(documents)).map(|number| incoming(number, begin));
                let kept = store.append(request.collect()).await?;
                anyhow::ensure!(kept.iter().all(|kept| matches!(kept.outcome, Outcome::Created { .. })));
                from += SENDERS * REQUEST;
            }
            Ok(())
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = documents as f64 / seconds;
    println!(
        "{documents} documents of {} bytes in {seconds:.1} s: {rate:.0} a second",
        source(0, begin).len()
    );
    figure("store_append", rate);
    Ok(())
}

/// Numbers that look as if drawn, the same in each run.
fn drawn(number: u64, salt: u64) -> u64 {
    let mut mixed = number.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 29)
}

fn incoming(number: u64, begin: Time) -> Incoming {
    let id = format!("{:016x}{:016x}", drawn(number, 1), drawn(number, 2));
    Incoming {
        stream: Stream::Alerts,
        namespace: "default".to_owned(),
        id: Some(id),
        source: source(number, begin),
    }
}

/// As large as an alert of the reference, and with the same fields.
fn source(number: u64, begin: Time) -> Bytes {
    let time = Time(begin.0 + number * 1_000_000_000 / RATE);
    let (pod, entry) = (drawn(number, 3) % PODS, drawn(number, 4) % ENTRIES);
    let (namespace, severity) = (pod % 40, 40 + drawn(entry, 5) % 60);
    let group = format!("{:016x}", drawn(number, 1));
    let filler = "x".repeat(1100);
    format!(
        r#"{{"@timestamp":"{time}","message":"ns{namespace}/pod{pod} asked for a.e{entry}.example, listed as e{entry}.example in feed f{0}","event":{{"id":"{group}","kind":"alert","category":["network","threat"],"type":["protocol","indicator"],"action":"listed-name","module":"namewarden","dataset":"namewarden.alert","outcome":"success","severity":{severity},"created":"{time}","start":"{time}","end":"{time}","duration":3000000}},"namewarden":{{"scope":"both","match":"subdomain","attribution":"cgroup","cgroup":"{filler}","group":"{group}","count":1,"first_seen":"{time}","last_seen":"{time}"}},"threat":{{"indicator":{{"type":"domain-name","name":"e{entry}.example"}},"feed":{{"name":["f{0}"]}}}},"dns":{{"type":"answer","id":"4660","question":{{"name":"a.e{entry}.example","type":"A","class":"IN"}},"resolved_ip":["203.0.113.7"]}},"kubernetes":{{"namespace":"ns{namespace}","pod":{{"name":"pod{pod}","uid":"1b2c3d4e-5f60-4718-8293-{pod:012}"}}}},"process":{{"pid":4711,"name":"curl"}},"source":{{"ip":"10.1.0.7","port":40000}},"destination":{{"ip":"10.96.0.10","port":53}},"orchestrator":{{"cluster":{{"name":"cluster"}}}},"host":{{"name":"node-{1}"}},"data_stream":{{"type":"logs","dataset":"namewarden.alert","namespace":"default"}},"ecs":{{"version":"9.4.0"}}}}"#,
        entry % 20,
        pod % 100
    )
    .into()
}

/// Each question a few times; the longest time is told.
async fn ask(store: &dyn Store, documents: u64, begin: Time, end: Time) -> anyhow::Result<()> {
    let filter = || Filter { cluster: "cluster".to_owned(), ..Filter::default() };
    let named = |text: &str| Some(text.to_owned());
    let day = Time(end.0.saturating_sub(86_400_000_000_000).max(begin.0));
    let middle = Time(begin.0 + (end.0 - begin.0) / 2);
    let mut slowest = 0.0;
    let rare = Filter { namespace: named("ns7"), feed: named("f3"), severity: Some(99..=100), ..filter() };
    for (what, filter) in [
        ("the newest", filter()),
        ("in the middle of the time", Filter { until: Some(middle), ..filter() }),
        ("of a namespace", Filter { namespace: named("ns7"), ..filter() }),
        ("of a pod", Filter { pod: named("pod77"), ..filter() }),
        ("of a domain", Filter { domain: named("e42.example"), ..filter() }),
        (
            "of a feed, severe, not dismissed",
            Filter {
                feed: named("f3"),
                severity: Some(90..=100),
                states: vec![State::New, State::Acknowledged],
                ..filter()
            },
        ),
        ("of a namespace and a feed, most severe", rare),
        ("of a domain that there is not", Filter { domain: named("none.example"), ..filter() }),
        ("dismissed, of which there are none", Filter { states: vec![State::Dismissed], ..filter() }),
        (
            "of a namespace and a pod that never meet",
            Filter { namespace: named("ns7"), pod: named("pod8"), ..filter() },
        ),
        (
            "of a namespace and a feed, dismissed, of which there are none",
            Filter { namespace: named("ns7"), feed: named("f3"), states: vec![State::Dismissed], ..filter() },
        ),
    ] {
        let search =
            Search { stream: Stream::Alerts, filter, order: Order::NewestFirst, after: None, limit: 50 };
        let (mut longest, mut found) = (0.0, 0);
        for _ in 0..5 {
            let started = Instant::now();
            found = store.search(search.clone()).await?.hits.len();
            longest = f64::max(longest, milliseconds(started));
        }
        println!("search among {documents}: {longest:>7.1} ms for {found:>2} {what}");
        slowest = f64::max(slowest, longest);
    }
    figure("store_page", slowest);
    let (histogram, top) = counts(store, filter(), day, end).await?;
    figure("store_histogram_day", histogram);
    figure("store_top_day", top);
    let (histogram, top) = counts(store, filter(), begin, end).await?;
    figure("store_histogram", histogram);
    figure("store_top", top);
    Ok(())
}

/// Milliseconds of a histogram, and of the slowest of three fields' most frequent values.
async fn counts(store: &dyn Store, filter: Filter, from: Time, until: Time) -> anyhow::Result<(f64, f64)> {
    let step = (until.0 - from.0) / 100 + 1;
    let histogram = Histogram { stream: Stream::Alerts, filter: filter.clone(), from, step, steps: 100 };
    let started = Instant::now();
    let counted: u64 = store.histogram(histogram).await?.iter().map(|bucket| bucket.documents).sum();
    let (spread, mut slowest) = (milliseconds(started), 0.0);
    println!("histogram of {counted}: {spread:.1} ms");
    let filter = Filter { since: Some(from), ..filter };
    for field in [Field::Namespace, Field::Entry, Field::Feed] {
        let started = Instant::now();
        store.top(Top { stream: Stream::Alerts, filter: filter.clone(), field, limit: 10 }).await?;
        let took = milliseconds(started);
        println!("most frequent {field:?} of {counted}: {took:.1} ms");
        slowest = f64::max(slowest, took);
    }
    Ok((spread, slowest))
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}
