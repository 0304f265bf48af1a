//! How many files may be open at one time: each agent holds a connection, and now and then a second one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside connections: sets, copies, the store, what is asked of others.
const RESERVE: u64 = 1_000;
/// More than is ever needed: nobody is given an endless table.
const MOST: u64 = 1 << 20;

/// Raises the limit as far as this process may, and says so where that is not enough for `connections`.
pub fn raise(connections: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = raised(current, maximum);
    let limit = match raised {
        Some(raised) if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok() => {
            raised
        }
        _ => current.unwrap_or(MOST),
    };
    if limit < connections + RESERVE {
        tracing::warn!(
            "{limit} files may be open at one time, which is enough for some {} connections; give this process a limit \
             (nofile) of {} for more",
            limit.saturating_sub(RESERVE),
            connections + RESERVE
        );
    }
}

/// The limit to ask for; none where the one in force is as good.
fn raised(current: Option<u64>, maximum: Option<u64>) -> Option<u64> {
    let most = maximum.unwrap_or(MOST).min(MOST);
    current.filter(|current| *current < most).map(|_| most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_as_far_as_it_may_be_and_never_lowered() {
        assert_eq!(raised(Some(1_024), Some(524_288)), Some(524_288));
        assert_eq!(raised(Some(1_024), None), Some(MOST));
        assert_eq!(raised(Some(4_096), Some(4_096)), None);
        assert_eq!(raised(Some(1 << 30), Some(1 << 30)), None);
        assert_eq!(raised(None, None), None);
    }

    #[test]
    fn this_process_may_have_as_many_as_it_is_allowed() {
        raise(1);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert!(
            current.is_none_or(|current| current >= maximum.unwrap_or(MOST).min(MOST)),
            "{current:?} {maximum:?}"
        );
    }
}
