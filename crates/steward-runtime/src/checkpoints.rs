//! Keeps what a file held before a tool changed it.

use std::sync::Arc;

use steward_domain::clock::Clock;
use steward_domain::tool::ToolContext;
use steward_store::blobs::NewBlob;
use steward_store::checkpoints::CheckpointRow;
use steward_store::{Store, blobs, checkpoints};

/// Writes checkpoints into the store.
#[derive(Clone)]
pub struct CheckpointStore {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl CheckpointStore {
    /// Checkpoints in a store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        CheckpointStore { store, clock }
    }

    /// Keeps `before` (`None`: the file did not exist). Durable when it returns.
    ///
    /// # Errors
    /// A sentence; the change must not be made then.
    pub async fn save(&self, context: &ToolContext, path: &str, before: Option<Vec<u8>>, after_sha256: &str) -> Result<(), String> {
        let now = self.clock.now();
        let before_existed = before.is_some();
        let blob = before.map(|bytes| NewBlob::new(bytes, "application/octet-stream", now));
        let mut row = CheckpointRow {
            turn: context.turn.clone(),
            call: context.call.clone(),
            agent: context.agent.clone(),
            path: path.to_owned(),
            before: None,
            before_existed,
            after_sha256: after_sha256.to_owned(),
            at: now,
        };
        let saved = self.store.write(move |tx| {
            row.before = blob.map(|blob| blobs::insert(tx, &blob)).transpose()?;
            checkpoints::insert(tx, &row)
        });
        saved
            .await
            .map_err(|error| format!("the checkpoint cannot be kept, so nothing was changed: {error}"))
    }

    /// The `after_sha256` that this very call saved for a path before a crash.
    pub async fn saved(&self, context: &ToolContext, path: &str) -> Option<String> {
        let (turn, call, path) = (context.turn.clone(), context.call.clone(), path.to_owned());
        let rows = self.store.read(move |tx| checkpoints::of_turn(tx, &turn)).await.ok()?;
        rows.into_iter()
            .rev()
            .find(|row| row.call == call && row.path == path)
            .map(|row| row.after_sha256)
    }
}
