//! Users with bcrypt hashes, as `htpasswd -B` writes them. Read anew when the file changes.
//!
//! A round of bcrypt takes 50 ms and more: they run one at a time, few may wait, and a password that was right is known
//! for a minute, so that wrong ones cannot burn the processor.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{Caller, Denied, FileError, Secret, cache::Cache};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How long a right password is known.
const REMEMBERED: Duration = Duration::from_mins(1);
/// A cost of 14 takes a second; one more doubles it.
const MAX_COST: u32 = 14;
/// Checks that may wait for their turn.
const WAITING: usize = 16;
/// Lines of the file.
const MAX_USERS: usize = 10_000;

/// The users of a file.
#[derive(Debug)]
pub struct Htpasswd {
    path: PathBuf,
    known: Mutex<Known>,
    right: Cache<()>,
    waiting: Semaphore,
    turn: Semaphore,
}

#[derive(Debug)]
struct Known {
    text: String,
    hashes: Arc<HashMap<String, String>>,
    looked: Instant,
}

impl Htpasswd {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or a line is no user with a bcrypt hash.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let text = read(path)?;
        let hashes = Arc::new(parse(&text).map_err(|reason| wrong(path, reason))?);
        Ok(Self {
            path: path.to_owned(),
            known: Mutex::new(Known { text, hashes, looked: Instant::now() }),
            right: Cache::new(1024),
            waiting: Semaphore::new(WAITING),
            turn: Semaphore::new(1),
        })
    }

    /// Whether the file has this user. Others' passwords are taken for tokens.
    pub(super) fn knows(&self, user: &str) -> bool {
        self.hashes(Instant::now()).contains_key(user)
    }

    /// Checks a password; `may_cost` is asked before a check that costs something, and again once it is its turn: many may wait.
    pub(super) async fn check(
        &self,
        user: &str,
        password: &Secret,
        may_cost: impl Fn() -> Result<(), Denied>,
    ) -> Result<Arc<Caller>, Denied> {
        let hashes = self.hashes(Instant::now());
        let hash = hashes.get(user).ok_or(Denied::BadCredentials)?;
        let key = self.right.key(&[user.as_bytes(), hash.as_bytes(), password.reveal().as_bytes()]);
        if self.right.find(&key, Instant::now()).is_none() {
            may_cost()?;
            self.verify(password.clone(), hash.clone(), may_cost).await?;
            self.right.keep(key, (), Instant::now(), REMEMBERED);
        }
        Ok(Arc::new(Caller { name: user.to_owned(), ..Caller::default() }))
    }

    async fn verify(
        &self,
        password: Secret,
        hash: String,
        may_cost: impl Fn() -> Result<(), Denied>,
    ) -> Result<(), Denied> {
        let busy = || Denied::Unavailable { reason: "too many passwords wait to be checked".to_owned() };
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let _turn = self.turn.acquire().await.map_err(|_| busy())?;
        may_cost()?;
        // bcrypt reads 72 bytes; a longer password would be right with any ending.
        let fits = password.reveal().len() <= 72;
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password.reveal(), &hash)).await;
        match checked {
            Ok(Ok(true)) if fits => Ok(()),
            Ok(_) => Err(Denied::BadCredentials),
            Err(_) => Err(Denied::Unavailable { reason: "the check of the password was ended".to_owned() }),
        }
    }

    fn hashes(&self, now: Instant) -> Arc<HashMap<String, String>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= known.looked + LOOK {
            known.looked = now;
            if let Err(error) = known.refresh(&self.path) {
                tracing::warn!("the users stay as they were: {error}");
            }
        }
        known.hashes.clone()
    }
}

impl Known {
    fn refresh(&mut self, path: &Path) -> Result<(), FileError> {
        let text = read(path)?;
        if text != self.text {
            self.hashes = Arc::new(parse(&text).map_err(|reason| wrong(path, reason))?);
            self.text = text;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, FileError> {
    std::fs::read_to_string(path)
        .map_err(|error| FileError::Unreadable { path: path.display().to_string(), error })
}

fn wrong(path: &Path, reason: String) -> FileError {
    FileError::Wrong { path: path.display().to_string(), reason }
}

fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let mut users = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or_else(|| format!("line {number} is not USER:HASH"))?;
        check_hash(hash).map_err(|reason| format!("line {number}: {reason}"))?;
        if users.len() == MAX_USERS {
            return Err(format!("it has more than {MAX_USERS} users"));
        }
        users.insert(user.to_owned(), hash.to_owned());
    }
    Ok(users)
}

fn check_hash(hash: &str) -> Result<(), String> {
    let parts: bcrypt::HashParts =
        hash.parse().map_err(|_| "the hash is not bcrypt; write it with `htpasswd -B`".to_owned())?;
    if parts.get_cost() > MAX_COST {
        return Err(format!("the hash's cost is {}, more than {MAX_COST} takes too long", parts.get_cost()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(text: &str) -> (tempfile::TempDir, Result<Htpasswd, FileError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        std::fs::write(&path, text).unwrap();
        let users = Htpasswd::open(&path);
        (folder, users)
    }

    fn line(user: &str, password: &str) -> String {
        format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
    }

    #[tokio::test]
    async fn the_right_password_is_accepted_and_no_other() {
        let (_folder, users) = users(&line("ann", "correct horse"));
        let users = users.unwrap();
        let free = || Ok(());
        assert_eq!(users.check("ann", &Secret::new("correct horse"), free).await.unwrap().name, "ann");
        assert_eq!(users.check("ann", &Secret::new("wrong"), free).await, Err(Denied::BadCredentials));
        assert_eq!(
            users.check("bob", &Secret::new("correct horse"), free).await,
            Err(Denied::BadCredentials)
        );
    }

    #[tokio::test]
    async fn a_password_that_was_right_costs_nothing_for_a_while() {
        let (_folder, users) = users(&line("ann", "correct horse"));
        let (users, right) = (users.unwrap(), Secret::new("correct horse"));
        users.check("ann", &right, || Ok(())).await.unwrap();
        let costly = || Err(Denied::TooManyFailures { seconds: 9 });
        assert!(users.check("ann", &right, costly).await.is_ok());
        assert_eq!(
            users.check("ann", &Secret::new("x"), costly).await,
            Err(Denied::TooManyFailures { seconds: 9 })
        );
    }

    #[tokio::test]
    async fn passwords_that_wait_for_their_turn_are_asked_for_their_budget_again() {
        let (_folder, users) = users(&line("ann", "correct horse"));
        let users = users.unwrap();
        let wrong = std::sync::atomic::AtomicUsize::new(0);
        let counted = || wrong.load(std::sync::atomic::Ordering::SeqCst);
        let may = || if counted() < 2 { Ok(()) } else { Err(Denied::TooManyFailures { seconds: 9 }) };
        let guess = async |number: usize| {
            let guess = users.check("ann", &Secret::new(format!("guess {number}")), may).await;
            if guess == Err(Denied::BadCredentials) {
                wrong.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        };
        futures::future::join_all((0..WAITING).map(guess)).await;
        assert!((2..=3).contains(&counted()), "{}", counted());
    }

    #[tokio::test]
    async fn a_password_beyond_what_bcrypt_reads_is_refused() {
        let long = "x".repeat(73);
        let (_folder, users) = users(&line("ann", &long));
        let refused = users.unwrap().check("ann", &Secret::new(long), || Ok(())).await;
        assert_eq!(refused, Err(Denied::BadCredentials));
    }

    #[test]
    fn a_hash_that_is_not_bcrypt_is_refused_with_its_line() {
        let (_folder, users) = users("# users\nann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
        assert!(users.unwrap_err().to_string().contains("line 2: the hash is not bcrypt"));
    }

    #[test]
    fn a_hash_that_takes_too_long_is_refused() {
        let costly = bcrypt::hash("x", 4).unwrap().replace("$04$", "$20$");
        let (_folder, users) = users(&format!("ann:{costly}"));
        assert!(users.unwrap_err().to_string().contains("the hash's cost is 20"));
    }

    #[test]
    fn a_changed_file_is_read_anew_and_a_broken_one_is_not() {
        let (folder, users) = users(&line("ann", "a"));
        let (users, path) = (users.unwrap(), folder.path().join("htpasswd"));
        std::fs::write(&path, "rubbish").unwrap();
        assert!(users.hashes(Instant::now() + LOOK).contains_key("ann"));
        std::fs::write(&path, line("bob", "b")).unwrap();
        let hashes = users.hashes(Instant::now() + 3 * LOOK);
        assert!(hashes.contains_key("bob") && !hashes.contains_key("ann"));
    }
}
