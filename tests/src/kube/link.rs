//! A connection that can be cut, refuse, or go dead: a TCP relay in front of a server, which knows nothing of TLS.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::Result;

/// What happens to bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// They are passed on.
    Whole,
    /// They stop where they are, in silence; new connections are taken and stay silent.
    Dead,
    /// Connections are closed, new ones at once.
    Cut,
    /// The value is gone.
    Over,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    open: Mutex<Vec<TcpStream>>,
}

/// A relay to one server; its connections end when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Link {
    /// Relays to `server`.
    pub fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Whole),
            changed: Condvar::new(),
            open: Mutex::new(Vec::new()),
        });
        let here = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                match *here.state() {
                    State::Over => return,
                    State::Cut => continue,
                    State::Whole | State::Dead => (),
                }
                // A server that is away is a connection that ends, as without a relay.
                let _ = here.join(&client, server);
            }
        });
        Ok(Self { address, shared })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes everything on again.
    pub fn mend(&self) {
        self.shared.turn(State::Whole);
    }

    /// Closes all connections, and new ones as they come, until it is mended.
    pub fn cut(&self) {
        self.shared.turn(State::Cut);
        self.shared.close();
    }

    /// Closes all connections once; new ones are passed on.
    pub fn interrupt(&self) {
        self.shared.close();
    }

    /// Passes nothing on, in silence, until it is mended.
    pub fn die(&self) {
        self.shared.turn(State::Dead);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.turn(State::Over);
        self.shared.close();
        // The listener wakes, sees that it is over and ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, state: State) {
        *self.state() = state;
        self.changed.notify_all();
    }

    fn close(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn join(self: &Arc<Self>, client: &TcpStream, server: SocketAddr) -> io::Result<()> {
        let server = TcpStream::connect(server)?;
        for (from, to) in [(client, &server), (&server, client)] {
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            self.open.lock().unwrap_or_else(PoisonError::into_inner).push(from.try_clone()?);
            let here = Arc::clone(self);
            thread::spawn(move || {
                here.pass(&from, &to);
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    /// Copies until either side ends; while the link is dead, bytes wait.
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = [0; 16_384];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let mut state = self.state();
            while *state == State::Dead {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let Some(bytes) = buffer.get(..length) else { return };
            if to.write_all(bytes).is_err() {
                return;
            }
        }
    }
}
