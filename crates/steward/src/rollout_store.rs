//! Keeps rollouts in the store: the state of each and the record of what happened, in one transaction.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_inference::route::{RolloutStore, SavedRollout};
use steward_store::rollouts::{self, RolloutEventRow, RolloutRow};
use steward_store::{Store, StoreError, Tx};

/// Rollouts in the store.
pub(crate) struct StoredRollouts(pub(crate) Store);

impl RolloutStore for StoredRollouts {
    fn load(&self) -> BoxFuture<'_, Result<Vec<(String, String)>, String>> {
        async move {
            let rows = self.0.read(rollouts::list).await.map_err(|error| error.to_string())?;
            Ok(rows.into_iter().map(|row| (row.route, row.state)).collect())
        }
        .boxed()
    }

    fn save(&self, saved: SavedRollout) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let outcome = if saved.events.is_empty() {
                self.0.write_unsynced(move |tx| save(tx, saved)).await
            } else {
                self.0.write(move |tx| save(tx, saved)).await
            };
            outcome.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

fn save(tx: &mut Tx<'_>, saved: SavedRollout) -> Result<(), StoreError> {
    for event in saved.events {
        let row = RolloutEventRow {
            route: event.route,
            at: event.at,
            action: event.action.name().to_owned(),
            who: event.who,
            why: event.why,
            share_before: event.share_before.to_string(),
            share_after: event.share_after.to_string(),
        };
        rollouts::add_event(tx, &row)?;
    }
    let row = RolloutRow {
        route: saved.route,
        state: saved.state,
        at: saved.at,
    };
    rollouts::save(tx, &row)
}
