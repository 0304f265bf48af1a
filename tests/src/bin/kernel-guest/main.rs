//! All that runs in the small machine that `cargo xtask kernels` boots, beside the agent and the tests' DNS client: the
//! first process, which sets the machine up, proves what it can of the agent on this kernel and says it on the console.
//!
//! It starts the others by itself as well, in another role: `inside GROUP PROGRAM...` and `limited NAMES PROGRAM...`.

// The machine: file systems, loopback, power.
mod machine;

// Another program in a cgroup, or with few capabilities.
mod role;

// What is proven.
mod proof;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["inside", group, command @ ..] => role::inside(group, command),
        ["limited", names, command @ ..] => role::limited(names, command),
        // What the kernel does not know of its command line stands here.
        _ if std::process::id() == 1 => machine::live(proof::all),
        _ => bail!("this is the first process of a machine: run `cargo xtask kernels`"),
    }
}
