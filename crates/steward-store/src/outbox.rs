//! The outbox: what goes out, each with an idempotency key, until the platform's receipt is stored.

use serde::{Deserialize, Serialize};
use steward_domain::channel::Receipt;
use steward_domain::clock::Timestamp;
use steward_domain::id::{ChannelName, OutboxId, SessionId, TurnId};

use crate::error::StoreError;
use crate::tx::{Columns, Tx};
use crate::value::{Json, Word};

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct NewOutbox {
    /// Its id, if it is new.
    pub id: OutboxId,
    /// Of which session.
    pub session: SessionId,
    /// The turn it replies for.
    pub turn: Option<TurnId>,
    /// Through which channel.
    pub channel: ChannelName,
    /// To which thread.
    pub thread: String,
    /// The text, in Markdown.
    pub text: String,
    /// The same key twice is one message.
    pub idempotency_key: String,
    /// When it was written, to the millisecond; it is due at once.
    pub created_at: Timestamp,
}

/// A message on its way out, or out.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// What is to be sent.
    pub message: NewOutbox,
    /// Where it stands.
    pub state: OutboxState,
    /// Times it was handed to the channel.
    pub attempts: u32,
    /// A crash hid the receipt of an attempt: it may be there already.
    pub is_possible_repeat: bool,
    /// When it is due.
    pub next_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The platform's word that it has it.
    pub receipt: Option<Receipt>,
    /// When the receipt came.
    pub sent_at: Option<Timestamp>,
}

/// Where a message on its way out stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxState {
    /// To be sent when it is due.
    Pending,
    /// Handed to the channel, no word yet.
    Sending,
    /// The platform has it.
    Sent,
    /// The platform will never take it.
    Failed,
    /// Nobody can tell whether the platform has it.
    Unknown,
}

/// What became of a message that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// Its id, or that of the row with the same key.
    pub id: OutboxId,
    /// It was not there before.
    pub is_new: bool,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, session_id, turn_id, channel, thread, text, idempotency_key, created_at, state, attempts, is_possible_repeat, ",
            "next_at, last_error, receipt, sent_at FROM outbox ",
            $rest
        )
    };
}

fn read(row: &mut Columns<'_>) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        message: NewOutbox {
            id: row.next()?,
            session: row.next()?,
            turn: row.next()?,
            channel: row.next()?,
            thread: row.next()?,
            text: row.next()?,
            idempotency_key: row.next()?,
            created_at: row.next()?,
        },
        state: row.next::<Word<_>>()?.0,
        attempts: row.next()?,
        is_possible_repeat: row.next()?,
        next_at: row.next()?,
        last_error: row.next()?,
        receipt: row.next::<Option<Json<_>>>()?.map(|json| json.0),
        sent_at: row.next()?,
    })
}

/// Stores a message once by its key.
pub fn enqueue(tx: &mut Tx<'_>, message: &NewOutbox) -> Result<Enqueued, StoreError> {
    let inserted = tx.execute(
        "INSERT INTO outbox (id, session_id, turn_id, channel, thread, text, idempotency_key, state, attempts, is_possible_repeat,
             next_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', 0, 0, ?8, ?8) ON CONFLICT (idempotency_key) DO NOTHING",
        &[
            &message.id,
            &message.session,
            &message.turn,
            &message.channel,
            &message.thread,
            &message.text,
            &message.idempotency_key,
            &message.created_at,
        ],
    )?;
    let id = tx.query_one(
        "SELECT id FROM outbox WHERE idempotency_key = ?1",
        &[&message.idempotency_key],
        |row| row.next(),
    )?;
    Ok(Enqueued { id, is_new: inserted == 1 })
}

/// A message by id.
pub fn get(tx: &mut Tx<'_>, id: &OutboxId) -> Result<Option<OutboxRow>, StoreError> {
    tx.query_optional(select!("WHERE id = ?1"), &[id], read)
}

/// What is due, oldest first. Of each thread only the first message that is not out yet: a thread keeps its order,
/// so ask again after a message is out.
pub fn due(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
    tx.query(
        select!(
            "WHERE state = 'pending' AND next_at <= ?1 AND NOT EXISTS (
                 SELECT 1 FROM outbox earlier WHERE earlier.channel = outbox.channel AND earlier.thread = outbox.thread
                 AND earlier.state IN ('pending', 'sending') AND earlier.id < outbox.id)
             ORDER BY next_at, id LIMIT ?2"
        ),
        &[&now, &limit],
        read,
    )
}

/// When the next message is due, if any waits.
pub fn next_due_at(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    tx.query_one("SELECT MIN(next_at) FROM outbox WHERE state = 'pending'", &[], |row| row.next())
}

/// Marks a message as handed to the channel; `false` where it is not pending any more. Must be durable before it is sent.
pub fn begin_send(tx: &mut Tx<'_>, id: &OutboxId) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?1 AND state = 'pending'",
        &[id],
    )?;
    Ok(changed == 1)
}

/// Keeps the receipt.
pub fn sent(tx: &mut Tx<'_>, id: &OutboxId, receipt: &Receipt, now: Timestamp) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE outbox SET state = 'sent', receipt = ?2, sent_at = ?3, last_error = NULL WHERE id = ?1",
        &[id, &Json(receipt), &now],
    )?;
    found(changed, id)
}

/// Tries again at `next_at`: the channel said that this attempt did not arrive.
pub fn retry_at(tx: &mut Tx<'_>, id: &OutboxId, next_at: Timestamp, error: &str) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE outbox SET state = 'pending', next_at = ?2, last_error = ?3 WHERE id = ?1 AND state <> 'sent'",
        &[id, &next_at, &error],
    )?;
    found(changed, id)
}

/// Sends again, marked as a possible repeat: nobody knows whether the last attempt arrived.
pub fn resend_as_repeat(tx: &mut Tx<'_>, id: &OutboxId, next_at: Timestamp) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE outbox SET state = 'pending', next_at = ?2, is_possible_repeat = 1 WHERE id = ?1 AND state <> 'sent'",
        &[id, &next_at],
    )?;
    found(changed, id)
}

/// Gives a message up: the platform will never take it.
pub fn failed(tx: &mut Tx<'_>, id: &OutboxId, error: &str) -> Result<(), StoreError> {
    give_up(tx, id, OutboxState::Failed, error)
}

/// Gives a message up whose fate nobody can tell.
pub fn unknown(tx: &mut Tx<'_>, id: &OutboxId, error: &str) -> Result<(), StoreError> {
    give_up(tx, id, OutboxState::Unknown, error)
}

fn give_up(tx: &mut Tx<'_>, id: &OutboxId, state: OutboxState, error: &str) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE outbox SET state = ?2, last_error = ?3 WHERE id = ?1 AND state <> 'sent'",
        &[id, &Word(state), &error],
    )?;
    found(changed, id)
}

fn found(changed: u64, id: &OutboxId) -> Result<(), StoreError> {
    if changed == 0 {
        return Err(StoreError::not_found("open outbox row", id));
    }
    Ok(())
}

/// The latest messages to a thread of a channel, oldest first.
pub fn of_thread(tx: &mut Tx<'_>, channel: &ChannelName, thread: &str, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
    let mut rows = tx.query(
        select!("WHERE channel = ?1 AND thread = ?2 ORDER BY id DESC LIMIT ?3"),
        &[channel, &thread, &limit],
        read,
    )?;
    rows.reverse();
    Ok(rows)
}

/// Messages handed to a channel without a word since, oldest first, for recovery.
pub fn in_flight(tx: &mut Tx<'_>) -> Result<Vec<OutboxRow>, StoreError> {
    tx.query(select!("WHERE state = 'sending' ORDER BY id"), &[], read)
}

/// Messages of a session, newest first.
pub fn of_session(tx: &mut Tx<'_>, session: &SessionId, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
    tx.query(select!("WHERE session_id = ?1 ORDER BY id DESC LIMIT ?2"), &[session, &limit], read)
}
