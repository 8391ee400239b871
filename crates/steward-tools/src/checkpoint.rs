//! What a file held before a tool changed it: kept before the change, put back by undo.
//!
//! Where checkpoints are kept is the caller's business; this only says when, and restores by handle.

use futures_util::future::BoxFuture;
use steward_domain::tool::ToolContext;

use crate::change::sha256;
use crate::workspace::{FileError, Workspace};

/// Keeps checkpoints.
pub trait Checkpoints: Send + Sync {
    /// Called before each change; the change is made only when this succeeds, so it must be durable when it returns.
    /// `before` is `None` for a file that did not exist, `after_sha256` is empty for a file that is removed.
    fn save(&self, context: &ToolContext, path: &str, before: Option<Vec<u8>>, after_sha256: &str) -> BoxFuture<'_, Result<(), String>>;

    /// The `after_sha256` that this very call saved for `path` before a crash, if the keeper can tell. It makes repeats exact.
    fn saved(&self, context: &ToolContext, path: &str) -> BoxFuture<'_, Option<String>> {
        let _ = (context, path);
        Box::pin(std::future::ready(None))
    }
}

/// What came of putting a file back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It is as before.
    Done,
    /// It changed since, so it was left alone.
    Changed,
}

/// Puts `path` back to `before` (`None`: removes it) if it still is what the change left: `after_sha256`, empty for "removed".
///
/// # Errors
/// When the file cannot be read or written.
pub fn restore(workspace: &Workspace, path: &str, before: Option<&[u8]>, after_sha256: &str) -> Result<Restored, FileError> {
    let path = workspace.locate(path)?;
    let now = workspace.read_for_change(&path)?;
    if now.as_deref() == before {
        return Ok(Restored::Done);
    }
    let is_as_left = match &now {
        Some(bytes) => sha256(bytes) == after_sha256,
        None => after_sha256.is_empty(),
    };
    if !is_as_left {
        return Ok(Restored::Changed);
    }
    match workspace.replace(&path, now.as_deref(), before) {
        Ok(()) => Ok(Restored::Done),
        Err(FileError::Changed { .. }) => Ok(Restored::Changed),
        Err(error) => Err(error),
    }
}
