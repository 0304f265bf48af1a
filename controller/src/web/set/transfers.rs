//! Bytes of the set for those who have the same base: computed once, whoever asks and however many, then shared.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use namewarden_protocol::threat_set::SetId;
use tokio::sync::{OnceCell, Semaphore};

use crate::publish::{Publisher, Transfer};

/// Bases that are told apart; callers with others get the whole set.
const BASES_MAX: usize = 64;
/// Computations at once.
const AT_ONCE: usize = 2;

/// What was computed for the current set.
pub struct Transfers {
    publisher: Publisher,
    current: Mutex<Current>,
    turn: Semaphore,
}

#[derive(Default)]
struct Current {
    id: SetId,
    cells: HashMap<Option<SetId>, Arc<OnceCell<Transfer>>>,
}

impl Transfers {
    /// Nothing is computed yet.
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher, current: Mutex::default(), turn: Semaphore::new(AT_ONCE) }
    }

    /// The set, or what leads to it from `base`. `current` is the set that is wanted; there may be a newer one.
    ///
    /// # Errors
    /// Words on why there are no such bytes.
    pub async fn of(&self, current: SetId, base: Option<SetId>) -> Result<Transfer, String> {
        let (base, cell) = self.cell(current, base);
        let transfer = cell.get_or_try_init(|| async {
            let _turn = self.turn.acquire().await;
            let publisher = self.publisher.clone();
            let computed = tokio::task::spawn_blocking(move || publisher.transfer(base)).await;
            computed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        });
        transfer.await.cloned()
    }

    fn cell(&self, id: SetId, base: Option<SetId>) -> (Option<SetId>, Arc<OnceCell<Transfer>>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.id != id {
            *current = Current { id, cells: HashMap::new() };
        }
        let is_known = current.cells.contains_key(&base) || current.cells.len() < BASES_MAX;
        let base = base.filter(|_| is_known);
        (base, current.cells.entry(base).or_default().clone())
    }
}
