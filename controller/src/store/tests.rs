//! What every store does, run against `SQLite`: any sequence of appends, annotations and questions is answered as a naive store in
//! memory answers it, and what `contract` says one by one.
//!
//! `made_up`, `model` and `contract` are part of the integration suite `search` too, which runs them against search engines.

// Documents, operations, and how they are made up.
pub mod made_up;

// The naive store.
pub mod model;

// What every store does, one by one.
pub mod contract;

use std::time::Duration;

use proptest::prelude::*;

use super::sqlite::{Settings, SqliteStore};
use made_up::{Operation, operation};
use model::Model;

/// Keeps everything.
pub const EVERYTHING: Settings = Settings {
    alerts_age: Duration::from_secs(u32::MAX as u64),
    logs_age: Duration::from_secs(u32::MAX as u64),
    bytes: u64::MAX,
};

/// A store in a folder.
pub fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(folder.path(), EVERYTHING).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_is_answered_as_by_a_store_in_memory(
        operations in prop::collection::vec(operation(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (mut store, mut model) = (open(&folder), Model::default());
            for operation in operations {
                if matches!(operation, Operation::Restart) {
                    drop(store);
                    store = open(&folder);
                } else {
                    model.compare(&store, operation.of("t")).await;
                }
            }
        });
    }
}

macro_rules! against_sqlite {
    ($($test:ident,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                let folder = tempfile::tempdir().unwrap();
                contract::$test(&open(&folder), "t").await;
            }
        )*
    };
}

contract::each_test!(against_sqlite);
