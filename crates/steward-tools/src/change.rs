//! One change of one file, the same way for every tool that writes: checkpoint first, then compare and replace.
//!
//! Never writes without a checkpoint, and never over what it has not seen.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use steward_domain::tool::{Evidence, EvidenceAction, ToolContext, ToolOutcome};

use crate::arguments::blocking;
use crate::checkpoint::Checkpoints;
use crate::workspace::{FileError, InsidePath, Workspace};

/// What the tools that write share.
#[derive(Clone)]
pub(crate) struct Changer {
    pub(crate) workspace: Workspace,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
}

/// A file before and after; `None` where it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: InsidePath,
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) after: Option<Vec<u8>>,
}

impl Change {
    /// Does it change nothing?
    pub(crate) fn is_nothing(&self) -> bool {
        self.before == self.after
    }

    fn after_sha256(&self) -> String {
        self.after.as_deref().map(sha256).unwrap_or_default()
    }

    /// The fact for the receipt.
    pub(crate) fn evidence(&self) -> Evidence {
        let detail = match &self.after {
            Some(bytes) => format!("sha256 {}, {} bytes", sha256(bytes), bytes.len()),
            None => "removed".into(),
        };
        Evidence {
            action: EvidenceAction::Wrote,
            object: self.path.to_string(),
            detail,
        }
    }
}

impl Changer {
    /// What the file holds now.
    pub(crate) async fn read(&self, path: &InsidePath) -> Result<Option<Vec<u8>>, ToolOutcome> {
        let (workspace, path) = (self.workspace.clone(), path.clone());
        Ok(blocking(move || workspace.read_for_change(&path)).await??)
    }

    /// Did this very call, before a crash, leave the file as it is now? `None` when nobody can tell.
    pub(crate) async fn was_done(&self, path: &InsidePath, now: Option<&[u8]>, context: &ToolContext) -> Option<bool> {
        let saved = self.checkpoints.saved(context, &path.to_string()).await?;
        Some(saved == now.map(sha256).unwrap_or_default())
    }

    /// Keeps the checkpoint of a change.
    pub(crate) async fn save(&self, change: &Change, context: &ToolContext) -> Result<(), ToolOutcome> {
        let saved = self
            .checkpoints
            .save(context, &change.path.to_string(), change.before.clone(), &change.after_sha256())
            .await;
        saved.map_err(ToolOutcome::failed)
    }

    /// Makes changes whose checkpoints are kept: all of them, or none.
    pub(crate) async fn make(&self, changes: Vec<Change>) -> Result<(), ToolOutcome> {
        let workspace = self.workspace.clone();
        Ok(blocking(move || make_all(&workspace, &changes)).await??)
    }
}

fn make_all(workspace: &Workspace, changes: &[Change]) -> Result<(), FileError> {
    for (position, change) in changes.iter().enumerate() {
        let Err(error) = workspace.replace(&change.path, change.before.as_deref(), change.after.as_deref()) else {
            continue;
        };
        for done in changes[..position].iter().rev() {
            if let Err(error) = workspace.replace(&done.path, done.after.as_deref(), done.before.as_deref()) {
                tracing::error!(%error, "a half-made patch could not be taken back; its checkpoints are kept");
            }
        }
        return Err(error);
    }
    Ok(())
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
