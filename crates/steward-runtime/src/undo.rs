//! Puts the files of a turn back as they were, newest change first, and leaves alone what changed since.

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::id::TurnId;
use steward_store::{blobs, checkpoints};

use crate::access::{Identity, Right, may};
use crate::error::ServiceError;
use crate::runtime::Runtime;

/// Bytes of a file that can be put back.
const FILE_BYTES: usize = 512 * 1024 * 1024;

/// Puts one file back. Implemented over the workspace's handles where tools are wired.
pub trait Restorer: Send + Sync {
    /// Restores `path` to `before` (`None`: remove it) if it still is what the turn left.
    ///
    /// # Errors
    /// A sentence that says why it was left alone.
    fn restore(&self, path: &str, before: Option<&[u8]>, after_sha256: &str) -> Result<(), String>;
}

/// What an undo did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Undone {
    /// Paths that are as before.
    pub restored: Vec<String>,
    /// Paths left alone, and why.
    pub skipped: Vec<Skipped>,
}

/// A path left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Skipped {
    /// The path.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Runtime {
    /// Undoes the file changes of a turn that is over.
    ///
    /// # Errors
    /// When the turn does not exist, is not the caller's, or still runs.
    pub async fn undo(&self, id: &TurnId, identity: &Identity) -> Result<Undone, ServiceError> {
        let (row, _) = self.visible_turn(id, identity).await?;
        let may_undo = may(identity.role, Right::Operate) || row.principal == identity.principal;
        if !may_undo {
            return Err(ServiceError::Denied(
                "only the person who asked, an operator or an owner may undo this turn".into(),
            ));
        }
        if row.ended_at.is_none() {
            return Err(ServiceError::Conflict("the turn is still open; stop it first".into()));
        }
        let agent = self.agent(&row.agent)?;
        let restorer = self.workbench.restorer(&agent).map_err(ServiceError::Unavailable)?;
        let wanted = id.clone();
        let kept = self
            .store
            .read(move |tx| {
                let rows = checkpoints::of_turn(tx, &wanted)?;
                rows.into_iter()
                    .rev()
                    .map(|row| {
                        Ok((
                            row.before
                                .as_ref()
                                .map(|blob| blobs::get(tx, blob, 0, FILE_BYTES))
                                .transpose()?
                                .flatten(),
                            row,
                        ))
                    })
                    .collect::<Result<Vec<_>, steward_store::StoreError>>()
            })
            .await?;
        let mut undone = Undone::default();
        for (before, checkpoint) in kept {
            match restorer.restore(&checkpoint.path, before.as_deref(), &checkpoint.after_sha256) {
                Ok(()) => undone.restored.push(checkpoint.path),
                Err(reason) => undone.skipped.push(Skipped {
                    path: checkpoint.path,
                    reason,
                }),
            }
        }
        undone.restored.dedup();
        Ok(undone)
    }
}
