//! What a document costs from the pipeline's end to a search engine: its JSON, then queue, spool, packing and request. For
//! `cargo xtask bench` it prints `{"name":…,"value":…}`.
//!
//! `sink_speed [DOCUMENTS]` (100,000): alerts as in `docs/reference/documents.md`, each of another time, pod and name. They go to
//! a server that takes everything and keeps nothing, a process of its own, so that its time is not counted. The rate is what the
//! sink's threads would do on one core: documents a second of the processor time that they took.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use namewarden_agent::pipeline::sink::{Settings, Sink, Style, Target, search, spool::Limits};
use namewarden_protocol::{
    document::{Document, Time},
    search_engine,
};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REFERENCE: &str = include_str!("../../docs/reference/documents.md");
const SERVER: &str = "--null-server";
const PASSES: usize = 200;
/// Documents that are written as JSON in a pass.
const BATCH: usize = 100;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> Result<()> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(SERVER) {
        return serve();
    }
    let documents = argument.map_or(Ok(100_000), |text| text.parse()).context("DOCUMENTS")?;
    let documents = (0..documents).map(made_up).collect::<Result<Vec<_>>>()?;
    written(documents.get(..BATCH).unwrap_or(&documents))?;
    sent(documents)
}

fn figure(name: &str, value: f64) {
    println!("{{\"name\":\"{name}\",\"value\":{value}}}");
}

#[expect(clippy::cast_precision_loss, reason = "figures")]
fn as_float(number: usize) -> f64 {
    number as f64
}

/// The alert of the reference, of another time, pod and name.
fn made_up(number: u64) -> Result<Document> {
    let text = REFERENCE.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = text.context("no example in the reference")?;
    let text = text.replace("evil.example", &format!("e{}.example", mixed % 5000));
    let mut document: Document = serde_json::from_str(&text)?;
    document.timestamp = Time(document.timestamp.0 + number * 1_234_567);
    document.event.id = format!("{mixed:016x}{:016x}", mixed.rotate_left(17));
    Ok(document)
}

/// The quickest pass is taken: whatever disturbs one only adds to it.
fn written(documents: &[Document]) -> Result<()> {
    let (mut quickest, mut text) = (f64::MAX, Vec::new());
    for _ in 0..PASSES {
        text.clear();
        let began = Instant::now();
        for document in documents {
            serde_json::to_writer(&mut text, document)?;
        }
        quickest = quickest.min(began.elapsed().as_secs_f64() * 1e6 / as_float(documents.len()));
    }
    println!("{} bytes of JSON each in {quickest:.2} us", text.len() / documents.len().max(1));
    figure("document_json", quickest);
    Ok(())
}

fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default()).as_secs_f64()
}

fn sent(documents: Vec<Document>) -> Result<()> {
    let (mut server, url) = start_server()?;
    let folder = std::env::temp_dir().join(format!("namewarden-sink-{}", std::process::id()));
    let target = Target::Search(vec![url.parse()?]);
    let settings = Settings {
        alerts: target.clone(),
        dns_logs: None,
        style: Style::Json,
        rotation: None,
        capacity: Settings::CAPACITY,
        search: Some(search::Settings {
            client: search_engine::Settings::default(),
            limits: Limits { bytes: 1 << 30, age: Duration::from_hours(24) },
            folder: folder.clone(),
            alert_stream: "logs-namewarden.alert-default".into(),
            log_stream: "logs-namewarden.dns-default".into(),
        }),
    };
    let sink = Sink::open(&settings)?;
    let count = documents.len();
    let (began, spent) = (Instant::now(), processor_time());
    for document in documents {
        sink.write_waiting(document);
    }
    sink.close(PATIENCE);
    let (took, spent) = (began.elapsed().as_secs_f64(), processor_time() - spent);
    let acknowledged: u64 = sink.lanes().iter().map(|lane| lane.counts.acknowledged).sum();
    let bytes: u64 = sink.lanes().iter().map(|lane| lane.contact.bytes).sum();
    server.kill()?;
    server.wait()?;
    std::fs::remove_dir_all(&folder)?;
    anyhow::ensure!(acknowledged == count as u64, "the server has {acknowledged} of {count} documents");
    println!("{count} documents in {took:.1} s, {spent:.2} s of processor time, {bytes} bytes sent");
    figure("sink_rate", as_float(count) / spent);
    Ok(())
}

fn start_server() -> Result<(Child, String)> {
    let mut server = Command::new(std::env::current_exe()?)
        .arg(SERVER)
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()?;
    let mut url = String::new();
    BufReader::new(server.stdout.take().context("stdout")?).read_line(&mut url)?;
    Ok((server, url.trim().to_owned()))
}

/// Takes everything, keeps nothing.
fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let stream = stream?;
        // Whoever asks may go at any time.
        std::thread::spawn(move || drop(answer_all(&stream)));
    }
    Ok(())
}

fn answer_all(mut stream: &TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim().to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer =
            if first.contains("/_bulk") { taken(&body)? } else { "{\"data_streams\":[]}".to_owned() };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        )?;
        stream.write_all(answer.as_bytes())?;
    }
}

/// What a search engine says that has created all of them.
fn taken(packed: &[u8]) -> Result<String> {
    let mut body = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut body)?;
    let documents = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() / 2;
    let items = vec!["{\"create\":{\"status\":201}}"; documents].join(",");
    Ok(format!("{{\"items\":[{items}]}}"))
}
