//! Sends what waits in the outbox until the platform's receipt is kept.
//!
//! The row's key goes to the platform. A send whose fate a crash hid is sent again, marked as a possible repeat.

use std::sync::Arc;
use std::time::Duration;

use steward_domain::channel::{Outbound, SendError};
use steward_domain::clock::Timestamp;
use steward_store::outbox::{self, OutboxRow};
use tracing::{info, warn};

use crate::error::ServiceError;
use crate::runtime::Runtime;

/// Rows sent in one round.
const BATCH: usize = 50;
/// First wait after a failed send; it doubles up to [`RETRY_MAX`].
const RETRY_BASE: Duration = Duration::from_secs(1);
/// Longest wait between tries.
const RETRY_MAX: Duration = Duration::from_secs(15 * 60);

impl Runtime {
    /// Rows that were being sent when the process ended: their fate is unknown.
    pub(crate) async fn recover_outbox(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let rows = self
            .store
            .write(move |tx| {
                let rows = outbox::in_flight(tx)?;
                for row in &rows {
                    outbox::resend_as_repeat(tx, &row.message.id, now)?;
                }
                Ok(rows.len())
            })
            .await?;
        if rows > 0 {
            warn!(
                messages = rows,
                "{rows} messages may have been delivered before a crash; they are sent again, marked as a possible repeat"
            );
        }
        Ok(())
    }

    /// Sends what is due. Gives how many rows it handled.
    pub(crate) async fn send_due(self: &Arc<Self>) -> Result<usize, ServiceError> {
        let now = self.clock.now();
        let due = self.store.read(move |tx| outbox::due(tx, now, BATCH)).await?;
        let count = due.len();
        for row in due {
            self.send_row(row).await?;
        }
        Ok(count)
    }

    async fn send_row(&self, row: OutboxRow) -> Result<(), ServiceError> {
        let Some(channel) = self.channels.get(&row.message.channel) else {
            let id = row.message.id.clone();
            self.store
                .write(move |tx| outbox::failed(tx, &id, "the channel is no longer configured"))
                .await?;
            return Ok(());
        };
        let id = row.message.id.clone();
        self.store.write(move |tx| outbox::begin_send(tx, &id)).await?;
        let text = if row.is_possible_repeat {
            format!("(possibly a repeat) {}", row.message.text)
        } else {
            row.message.text.clone()
        };
        let message = Outbound {
            channel: row.message.channel.clone(),
            thread: row.message.thread.clone(),
            text,
            is_possible_repeat: row.is_possible_repeat,
        };
        let sent = channel.send(message, row.message.idempotency_key.clone()).await;
        let (id, now) = (row.message.id.clone(), self.clock.now());
        match sent {
            Ok(receipt) => {
                info!(outbox.id = %row.message.id, channel = %row.message.channel, "message {} delivered", row.message.id);
                self.store.write(move |tx| outbox::sent(tx, &id, &receipt, now)).await?;
            }
            Err(SendError::Rejected(reason)) => {
                warn!(outbox.id = %row.message.id, channel = %row.message.channel, "message {} was refused by its channel", row.message.id);
                self.store.write(move |tx| outbox::failed(tx, &id, &reason)).await?;
            }
            Err(error @ (SendError::Later(_) | SendError::Disconnected)) => {
                let next_at = next_try(&row, &error, now);
                self.store
                    .write(move |tx| outbox::retry_at(tx, &id, next_at, &error.to_string()))
                    .await?;
            }
        }
        Ok(())
    }
}

fn next_try(row: &OutboxRow, error: &SendError, now: Timestamp) -> Timestamp {
    let backoff = RETRY_BASE.saturating_mul(1 << row.attempts.min(16)).min(RETRY_MAX);
    let wait = match error {
        SendError::Later(asked) => backoff.max(*asked),
        SendError::Disconnected | SendError::Rejected(_) => backoff,
    };
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
