//! Documents that are kept, as used.

use std::{path::PathBuf, time::Duration};

use anyhow::bail;

use super::SourceSettings;
use crate::{
    args::{ServeArgs, StoreArgs},
    store::sqlite,
};

const DAY: Duration = Duration::from_hours(24);
const MIB: u64 = 1 << 20;

/// The store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where.
    pub folder: PathBuf,
    /// How much.
    pub limits: sqlite::Settings,
}

impl StoreSettings {
    /// Validates the options; `None` where no documents are kept. Where there is a search engine they are kept there, unless a
    /// folder is named.
    pub fn new(
        arguments: &StoreArgs,
        source: &SourceSettings,
        serve: &ServeArgs,
        has_search_engine: bool,
        state: &std::path::Path,
    ) -> anyhow::Result<Option<Self>> {
        // Taken apart whole: an option that nothing uses does not compile.
        let StoreArgs { store, store_alert_days, store_log_days, store_mib, look_back_hours: _ } = arguments;
        let is_embedded = matches!(source, SourceSettings::Manifests(_));
        let folder = match store.as_deref() {
            None | Some("") if is_embedded && !has_search_engine => state.join("store"),
            None | Some("" | "off") => return Ok(None),
            Some(folder) => PathBuf::from(folder),
        };
        let has_others = serve.peer_ca.is_some() || serve.advertise_url.is_some();
        if !is_embedded && has_others {
            bail!(
                "--store keeps documents where no other controller sees them: run one controller, without --peer-ca and \
                 --advertise-url, or have agents send to a search engine instead"
            );
        }
        let limits = sqlite::Settings {
            alerts_age: DAY * u32::from(*store_alert_days),
            logs_age: DAY * u32::from(*store_log_days),
            bytes: store_mib * MIB,
        };
        Ok(Some(Self { folder, limits }))
    }
}
