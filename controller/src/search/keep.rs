//! While a controller leads it sees to the search engine: what documents need is installed, pushed feeds are found.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use namewarden_protocol::document::Time;
use tokio::sync::Notify;

use super::engine::{EngineError, Server};
use super::install::install;
use super::pushed::{LookError, Looked, Watch};
use super::step::{Outcome, Step};
use crate::feed::{Feeds, Pushes};
use crate::leader::{Leadership, Role};
use crate::settings::search::SearchSettings;
use crate::store::engine::EngineStore;

/// Between two looks for pushed documents.
const LOOK: Duration = Duration::from_secs(3);
/// Between two tries to install, the first ones and the later ones.
const INSTALL: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(300)];
/// What was installed may be gone: it is looked at again this often, and when pushed feeds are gone or found again.
const REINSTALL: Duration = Duration::from_hours(1);
/// Between two looks for alert groups that are gone.
const FORGET: Duration = Duration::from_hours(12);

/// Runs for ever.
pub async fn keep(settings: SearchSettings, leadership: Leadership, pushes: Pushes, feeds: Feeds) {
    let mut role = leadership.watch();
    let mut keeper = Keeper {
        watch: Watch::new(&settings.plan.cluster),
        settings,
        pushes,
        feeds,
        said: None,
        again: Arc::default(),
    };
    loop {
        if role.wait_for(|role| *role == Role::Leader).await.is_err() {
            return;
        }
        let lost = async {
            // A watch whose sender is gone keeps its role.
            if role.wait_for(|role| *role != Role::Leader).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = lost => {}
            () = keeper.lead() => {}
        }
    }
}

struct Keeper {
    settings: SearchSettings,
    watch: Watch,
    pushes: Pushes,
    feeds: Feeds,
    /// What was said last of looking for documents: it is not said again.
    said: Option<String>,
    /// What was installed is to be looked at.
    again: Arc<Notify>,
}

impl Keeper {
    async fn lead(&mut self) {
        let (settings, again) = (self.settings.clone(), Arc::clone(&self.again));
        tokio::join!(install_for_ever(&settings, &again), self.look_for_ever(), forget_for_ever(&settings));
    }

    async fn look_for_ever(&mut self) {
        loop {
            let looked = self.watch.look(&self.settings.engine, &self.pushes).await;
            self.tell(looked);
            tokio::time::sleep(LOOK).await;
        }
    }

    fn tell(&mut self, looked: Result<Looked, LookError>) {
        let problem = match looked {
            Ok(Looked { changed, refused, hidden }) => {
                for (feed, why) in refused {
                    tracing::warn!(feed, "a document of the search engine is no list: {why}");
                }
                for feed in changed {
                    tracing::info!(feed, "a list was pushed to the search engine");
                    self.feeds.pushed(&feed);
                }
                gone(&hidden)
            }
            Err(error) => Some(format!("pushed feeds are not looked for: {error}")),
        };
        match (&problem, &self.said) {
            (Some(problem), said) if said.as_ref() != Some(problem) => {
                tracing::warn!("{problem}");
                self.again.notify_one();
            }
            (None, Some(_)) => {
                tracing::info!("pushed feeds are looked for again");
                self.again.notify_one();
            }
            _ => {}
        }
        self.said = problem;
    }
}

/// Why lists stay that are found no more.
fn gone(hidden: &[String]) -> Option<String> {
    (!hidden.is_empty()).then(|| {
        format!(
            "the index of pushed feeds is gone, or may not be seen; the lists that came from it stay as they are: {}; push them \
             again, give the rights that docs/reference/search-engines.md names, or delete the documents at the controller",
            hidden.join(" ")
        )
    })
}

/// Installs at once, and again what is gone; what a server refuses is tried rarely.
async fn install_for_ever(settings: &SearchSettings, again: &Notify) {
    let mut is_first = true;
    loop {
        let [soon, later] = INSTALL;
        let wait = match install(&settings.engine, &settings.plan).await {
            Ok((server, steps)) => {
                tell_of_steps(settings, &server, &steps, std::mem::take(&mut is_first));
                REINSTALL
            }
            Err(error) => {
                tracing::warn!("the search engine is not set up: {error}");
                if matches!(error, EngineError::Away { .. }) { soon } else { later }
            }
        };
        // Not before the next look for documents, however often it is asked for.
        tokio::time::sleep(soon.min(wait)).await;
        let _ = tokio::time::timeout(wait.saturating_sub(soon), again.notified()).await;
    }
}

/// What is as it was is no news.
fn tell_of_steps(settings: &SearchSettings, server: &Server, steps: &[Step], is_first: bool) {
    if !is_first && steps.iter().all(|step| matches!(step.outcome, Outcome::Kept | Outcome::Short(_))) {
        return;
    }
    for step in steps {
        if step.is_short() {
            tracing::warn!("search engine: {step}");
        } else {
            tracing::debug!("search engine: {step}");
        }
    }
    let at = settings.engine.location();
    tracing::info!(product = ?server.product, version = server.version, at, "the search engine is set up");
}

/// What is said of alert groups goes when the groups have gone.
async fn forget_for_ever(settings: &SearchSettings) {
    let store = EngineStore::new(settings.engine.clone());
    loop {
        tokio::time::sleep(FORGET).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = Time(u64::try_from(now).unwrap_or(u64::MAX));
        match store.forget(&settings.plan.cluster, now).await {
            Ok(0) => {}
            Ok(groups) => tracing::info!(groups, "what was said of alert groups that are gone was taken out"),
            Err(error) => tracing::warn!("what is said of alert groups that are gone stays: {error}"),
        }
    }
}
