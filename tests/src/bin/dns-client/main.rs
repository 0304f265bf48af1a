//! A DNS client that does what it is told: one command a line on standard input, or one an argument, in which case
//! standard input is the socket that its parent handed on. Each command is answered with `ok ...` or `error ...`.

// The commands.
mod command;

// One socket, UDP or TCP, and the ways to send on it.
mod socket;

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    thread,
};

use anyhow::{Result, bail};

use crate::{command::Client, socket::Socket};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        println!("ok ready");
        return obey(&mut Client::default());
    }
    let mut client = Client::with(Socket::inherited(io::stdin().as_fd().try_clone_to_owned()?)?);
    arguments.iter().try_for_each(|line| answer(&mut client, line))
}

/// Does what standard input says, line by line.
fn obey(client: &mut Client) -> Result<()> {
    let mut line = String::new();
    while io::stdin().read_line(&mut line)? > 0 {
        if let Some(name) = line.trim_end().strip_prefix("in-thread ") {
            return in_thread(name, client);
        }
        answer(client, line.trim_end())?;
        line.clear();
    }
    Ok(())
}

/// Whatever follows is done by a thread of that name, which lives as long as the client.
fn in_thread(name: &str, client: &mut Client) -> Result<()> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, || {
            println!("ok ");
            obey(client)
        })?;
        thread.join().unwrap_or_else(|_| bail!("the thread panicked"))
    })
}

fn answer(client: &mut Client, line: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    match client.execute(line) {
        Ok(said) => writeln!(output, "ok {said}")?,
        Err(error) => writeln!(output, "error {error:#}")?,
    }
    output.flush()?;
    Ok(())
}
