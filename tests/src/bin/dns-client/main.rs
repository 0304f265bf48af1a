//! A DNS client that does what it is told: one command a line on standard input, or one an argument, in which case
//! standard input is the socket that its parent handed on. Each command is answered with `ok ...` or `error ...`.

// The commands.
mod command;

// One socket, UDP or TCP, and the ways to send on it.
mod socket;

use std::{
    io::{self, BufRead as _, Write as _},
    os::fd::AsFd as _,
};

use anyhow::Result;

use crate::{command::Client, socket::Socket};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        println!("ok ready");
        let mut client = Client::default();
        for line in io::stdin().lock().lines() {
            answer(&mut client, &line?)?;
        }
        return Ok(());
    }
    let mut client = Client::with(Socket::inherited(io::stdin().as_fd().try_clone_to_owned()?)?);
    arguments.iter().try_for_each(|line| answer(&mut client, line))
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
