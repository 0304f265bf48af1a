//! The commands of the client, each with the words that follow it.

use std::{
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail};
use data_encoding::HEXLOWER;
use namewarden_tests::{
    ip::send_udp,
    message::{kind_by_name, pointers, query, with_length},
};

use crate::socket::Socket;

/// The client's state: the socket in use and the next message id.
#[derive(Default)]
pub struct Client {
    socket: Option<Socket>,
    next_id: u16,
}

impl Client {
    /// A client that goes on with a socket made by another process.
    pub fn with(socket: Socket) -> Self {
        // Far from the parent's ids, which go on counting.
        Self { socket: Some(socket), next_id: 0x4000 }
    }

    /// Does one line.
    pub fn execute(&mut self, line: &str) -> Result<String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match verb {
            "udp4" => Ok(self.open(Some(Socket::udp("0.0.0.0:0")?))),
            "udp6" => Ok(self.open(Some(Socket::udp("[::]:0")?))),
            "tcp" => Ok(self.open(Some(Socket::tcp(address(&words, 0)?)?))),
            "connect" => self.socket()?.connect(address(&words, 0)?).map(|()| String::new()),
            "close" => Ok(self.open(None)),
            "send" => self.send(&words),
            "receive" => self.receive(),
            "ask" => self.send(&words).and_then(|_| self.receive()),
            "length-apart" => self.write_pieces(2, &words),
            "pieces" => self.write_pieces(number(&words)?, words.get(1..).unwrap_or_default()),
            "batch" => self.batch(&words),
            "many" => self.many(&words),
            "segments" => self.segments(&words),
            "flood" => self.flood(&words),
            "bulk" => self.bulk(&words),
            "pointers" => self.pointers(&words),
            "raw" => self.raw(&words),
            "child" => self.child(rest),
            "thread" => self.thread(&words),
            _ => bail!("unknown command {verb}"),
        }
    }

    fn socket(&mut self) -> Result<&mut Socket> {
        self.socket.as_mut().context("no socket is open")
    }

    /// Uses another socket, or none, from now on; the one before is closed.
    fn open(&mut self, socket: Option<Socket>) -> String {
        self.socket = socket;
        String::new()
    }

    /// `NAME TYPE` as a query with the next id.
    fn message(&mut self, words: &[&str]) -> Result<Vec<u8>> {
        self.next_id = self.next_id.wrapping_add(1);
        let name = words.first().context("no name")?;
        Ok(query(self.next_id, name, kind_by_name(words.get(1).copied().unwrap_or("A"))))
    }

    /// `NAME TYPE [ADDRESS]`: one query, to the address or to where the socket is connected.
    fn send(&mut self, words: &[&str]) -> Result<String> {
        let message = self.message(words)?;
        let target = words.get(2).map(|text| text.parse()).transpose()?;
        self.socket()?.send(&message, target)?;
        Ok(String::new())
    }

    /// One message: its id, response code, answer count and size.
    fn receive(&mut self) -> Result<String> {
        let message = self.socket()?.receive()?;
        let code = message.get(3).context("short message")? & 0x0f;
        let answers = message.get(7).context("short message")?;
        Ok(format!("rcode={code} answers={answers} bytes={}", message.len()))
    }

    /// `NAME TYPE`: one query over TCP, in writes of `size` bytes; 2 puts the length in a segment of its own.
    fn write_pieces(&mut self, size: usize, words: &[&str]) -> Result<String> {
        let bytes = with_length(&self.message(words)?);
        let socket = self.socket()?;
        if words.is_empty() || size == 0 {
            bail!("no size or no name");
        }
        if size == 2 {
            let (length, message) = bytes.split_at(2);
            socket.write(length)?;
            socket.write(message)?;
        } else {
            bytes.chunks(size).try_for_each(|piece| socket.write(piece))?;
        }
        Ok(String::new())
    }

    /// `NAME...`: queries for all of them in one write of a TCP connection.
    fn batch(&mut self, names: &[&str]) -> Result<String> {
        let mut bytes = Vec::new();
        for name in names {
            bytes.extend(with_length(&self.message(&[name, "A"])?));
        }
        self.socket()?.write(&bytes)?;
        Ok(String::new())
    }

    /// `ADDRESS NAME...`: one datagram for each name, all in one `sendmmsg`.
    fn many(&mut self, words: &[&str]) -> Result<String> {
        let (target, messages) = self.datagrams(words)?;
        self.socket()?.send_many(&messages, target)
    }

    /// `ADDRESS NAME...`: one datagram for each name, all in one send with `UDP_SEGMENT`; the names are equally long.
    fn segments(&mut self, words: &[&str]) -> Result<String> {
        let (target, messages) = self.datagrams(words)?;
        self.socket()?.send_segments(&messages, target)
    }

    fn datagrams(&mut self, words: &[&str]) -> Result<(SocketAddr, Vec<Vec<u8>>)> {
        let target = address(words, 0)?;
        let names = words.get(1..).unwrap_or_default();
        let messages = names.iter().map(|name| self.message(&[name, "A"])).collect::<Result<_>>()?;
        Ok((target, messages))
    }

    /// `COUNT ADDRESS SUFFIX`: queries for `0.SUFFIX`, `1.SUFFIX` ... as fast as they go, answers unread.
    fn flood(&mut self, words: &[&str]) -> Result<String> {
        let count = number(words)?;
        let target = address(words, 1)?;
        let suffix = words.get(2).context("no suffix")?;
        for index in 0..count {
            let message = self.message(&[&format!("{index}.{suffix}"), "A"])?;
            self.socket()?.send(&message, Some(target))?;
        }
        Ok(String::new())
    }

    /// `MEBIBYTES`: bytes that are no DNS messages, on the open TCP connection.
    fn bulk(&mut self, words: &[&str]) -> Result<String> {
        let block = vec![0xa5; 1 << 20];
        for _ in 0..number(words)? {
            self.socket()?.write(&block)?;
        }
        Ok(String::new())
    }

    /// `COUNT ADDRESS`: messages of the largest size that are made of pointers to one long name.
    fn pointers(&mut self, words: &[&str]) -> Result<String> {
        let message = pointers();
        let target = address(words, 1)?;
        for _ in 0..number(words)? {
            self.socket()?.send(&message, Some(target))?;
        }
        Ok(String::new())
    }

    /// `NAME TYPE SOURCE TARGET PIECE...`: a query as a whole IP packet on a raw socket, with these bytes (hexadecimal)
    /// between IP header and UDP header, see `ip`.
    fn raw(&mut self, words: &[&str]) -> Result<String> {
        let message = self.message(words)?;
        let (source, target) = (address(words, 2)?, address(words, 3)?);
        let pieces = words.iter().skip(4).map(|piece| Ok(HEXLOWER.decode(piece.as_bytes())?));
        let between: Vec<Vec<u8>> = pieces.collect::<Result<_>>()?;
        send_udp(source, target, &between, &message)?;
        Ok(String::new())
    }

    /// `COMMAND; COMMAND...`: a child process that does them on this socket; says the child's pid.
    fn child(&mut self, commands: &str) -> Result<String> {
        let socket: OwnedFd = self.socket()?.as_fd().try_clone_to_owned()?;
        let mut child = Command::new(std::env::current_exe()?);
        child.args(commands.split(';').map(str::trim)).stdin(socket).stdout(Stdio::piped());
        let child = child.spawn()?;
        let pid = child.id();
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if said.is_empty() || said.lines().any(|line| !line.starts_with("ok")) {
            bail!("child {pid}: {said}");
        }
        Ok(pid.to_string())
    }

    /// `NAME COMMAND...`: a thread of that name does the command.
    fn thread(&mut self, words: &[&str]) -> Result<String> {
        let name = (*words.first().context("no thread name")?).to_owned();
        let line = words.get(1..).unwrap_or_default().join(" ");
        thread::scope(|scope| {
            let builder = thread::Builder::new().name(name);
            let thread = builder.spawn_scoped(scope, || self.execute(&line))?;
            thread.join().unwrap_or_else(|_| bail!("the thread panicked"))
        })
    }
}

fn address(words: &[&str], index: usize) -> Result<SocketAddr> {
    let text = words.get(index).context("no address")?;
    text.parse().with_context(|| format!("{text} is no address"))
}

fn number(words: &[&str]) -> Result<usize> {
    Ok(words.first().context("no number")?.parse()?)
}
