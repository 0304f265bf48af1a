//! Conditions: wait until one holds, or fail with what was waited for.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long a condition may take before the test fails; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition that cannot be waited on is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks at `condition` until it gives a value; an error after `PATIENCE`.
pub fn until<T>(what: &str, condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    within(PATIENCE, what, condition)
}

/// Looks at `condition` until it gives a value; an error after `patience`.
pub fn within<T>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain: {what}", patience.as_secs());
        }
        thread::sleep(INTERVAL);
    }
}
