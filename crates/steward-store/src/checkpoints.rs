//! Checkpoints: what a file looked like before a call changed it, so that a turn can be undone.

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, BlobId, CallId, TurnId};

use crate::error::StoreError;
use crate::tx::Tx;

/// A file before a change.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointRow {
    /// By which turn.
    pub turn: TurnId,
    /// By which call.
    pub call: CallId,
    /// In whose workspace.
    pub agent: AgentName,
    /// The file, relative to the workspace.
    pub path: String,
    /// Its content before; `None` where there was no file.
    pub before: Option<BlobId>,
    /// Was there a file?
    pub before_existed: bool,
    /// SHA-256 of the content after, in hex; undo refuses where the file has changed since. Empty where it was removed.
    pub after_sha256: String,
    /// When, to the millisecond.
    pub at: Timestamp,
}

/// Stores a checkpoint. Must be durable before the file is changed.
pub fn insert(tx: &mut Tx<'_>, row: &CheckpointRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO checkpoints (turn_id, call_id, agent, path, before_blob, before_existed, after_sha256, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        &[
            &row.turn,
            &row.call,
            &row.agent,
            &row.path,
            &row.before,
            &row.before_existed,
            &row.after_sha256,
            &row.at,
        ],
    )?;
    Ok(())
}

/// The checkpoints of a turn, in the order of the changes; undo goes backwards.
pub fn of_turn(tx: &mut Tx<'_>, turn: &TurnId) -> Result<Vec<CheckpointRow>, StoreError> {
    tx.query(
        "SELECT turn_id, call_id, agent, path, before_blob, before_existed, after_sha256, at FROM checkpoints
         WHERE turn_id = ?1 ORDER BY id",
        &[turn],
        |row| {
            Ok(CheckpointRow {
                turn: row.next()?,
                call: row.next()?,
                agent: row.next()?,
                path: row.next()?,
                before: row.next()?,
                before_existed: row.next()?,
                after_sha256: row.next()?,
                at: row.next()?,
            })
        },
    )
}
