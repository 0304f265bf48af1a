//! One socket, UDP or TCP, and the ways to send on it.

use std::{
    io::{IoSlice, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketType, addr::SocketAddrArg as _, sendmmsg,
    sockopt,
};

use namewarden_tests::message::with_length;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A socket of the client.
pub enum Socket {
    /// Datagrams.
    Udp(UdpSocket),
    /// A connection.
    Tcp(TcpStream),
}

impl Socket {
    /// A UDP socket bound to `local`.
    pub fn udp(local: &str) -> Result<Self> {
        Ok(Self::Udp(with_timeout(UdpSocket::bind(local)?)?))
    }

    /// A TCP connection whose writes leave at once.
    pub fn tcp(target: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self::Tcp(stream))
    }

    /// A socket made by another process.
    pub fn inherited(socket: OwnedFd) -> Result<Self> {
        match sockopt::socket_type(&socket)? {
            SocketType::DGRAM => Ok(Self::Udp(socket.into())),
            SocketType::STREAM => Ok(Self::Tcp(socket.into())),
            other => bail!("standard input is a socket of type {other:?}"),
        }
    }

    /// Connects a UDP socket.
    pub fn connect(&self, target: SocketAddr) -> Result<()> {
        Ok(self.datagram()?.connect(target)?)
    }

    /// Sends one message, over TCP with its length before it.
    pub fn send(&mut self, message: &[u8], target: Option<SocketAddr>) -> Result<()> {
        match (self, target) {
            (Self::Udp(socket), Some(target)) => socket.send_to(message, target).map(drop)?,
            (Self::Udp(socket), None) => socket.send(message).map(drop)?,
            (Self::Tcp(stream), _) => stream.write_all(&with_length(message))?,
        }
        Ok(())
    }

    /// Writes bytes to a TCP connection as they are.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Udp(_) => bail!("this needs a TCP connection"),
            Self::Tcp(stream) => Ok(stream.write_all(bytes)?),
        }
    }

    /// Receives one message, without the length that stands before it on TCP.
    pub fn receive(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut buffer = vec![0; 65_536];
                let length = socket.recv(&mut buffer).context("no answer")?;
                buffer.truncate(length);
                Ok(buffer)
            }
            Self::Tcp(stream) => {
                let mut length = [0; 2];
                stream.read_exact(&mut length).context("no answer")?;
                let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut message).context("half an answer")?;
                Ok(message)
            }
        }
    }

    /// Sends each message as a datagram, all in one `sendmmsg`.
    pub fn send_many(&mut self, messages: &[Vec<u8>], target: SocketAddr) -> Result<String> {
        let target: SocketAddrAny = target.as_any();
        let parts: Vec<[IoSlice<'_>; 1]> = messages.iter().map(|message| [IoSlice::new(message)]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            parts.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut headers: Vec<MMsgHdr<'_>> = parts
            .iter()
            .zip(&mut controls)
            .map(|(part, control)| MMsgHdr::new_with_addr(&target, part, control))
            .collect();
        let sent = sendmmsg(self.datagram()?, &mut headers, SendFlags::empty())?;
        if sent != messages.len() {
            bail!("sent {sent} of {}", messages.len());
        }
        Ok(sent.to_string())
    }

    /// Sends all messages in one call; the kernel cuts them into datagrams of the first one's length.
    pub fn send_segments(&mut self, messages: &[Vec<u8>], target: SocketAddr) -> Result<String> {
        let size = messages.first().context("no names")?.len();
        if messages.iter().rev().skip(1).any(|message| message.len() != size) {
            bail!("names of different lengths");
        }
        let socket = self.datagram()?;
        setsockopt(socket, UdpGsoSegment, &i32::try_from(size)?)?;
        let sent = socket.send_to(&messages.concat(), target)?;
        setsockopt(socket, UdpGsoSegment, &0)?;
        Ok(sent.to_string())
    }

    fn datagram(&self) -> Result<&UdpSocket> {
        match self {
            Self::Udp(socket) => Ok(socket),
            Self::Tcp(_) => bail!("this needs a UDP socket"),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

fn with_timeout(socket: UdpSocket) -> Result<UdpSocket> {
    socket.set_read_timeout(Some(TIMEOUT))?;
    Ok(socket)
}
