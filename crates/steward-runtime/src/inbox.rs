//! Stores what comes in, once, before anyone is told; then gives it to the session's turns.

use std::sync::Arc;

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, ChannelName, InboundId, SessionId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::message::{Message, Part, Role};
use steward_domain::money::Usd;
use steward_domain::principal::{Principal, Surface};
use steward_store::inbox::{Accepted, InboxRow, InboxState};
use steward_store::sessions::{SessionName, SessionRow};
use steward_store::turns::TurnRow;
use steward_store::{StoreError, Tx, inbox, journal, sessions, turns};

use crate::approvals;
use crate::chat_commands::{self, Command};
use crate::config::QueueMode;
use crate::error::ServiceError;
use crate::runtime::Runtime;
use crate::sessions::own_thread;

/// Messages that may wait in one session; older ones are dropped and the model is told.
const QUEUE_CAP: usize = 20;
/// Bytes of one message.
const MESSAGE_BYTES: usize = 1024 * 1024;
/// Bytes of one message's media.
const MEDIA_BYTES: usize = 20 * 1024 * 1024;

/// A message that comes in through a surface.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Who writes.
    pub principal: Principal,
    /// Through which door.
    pub surface: Surface,
    /// Through which channel.
    pub channel: ChannelName,
    /// To which agent.
    pub agent: AgentName,
    /// The thread, which is the session's name for the caller.
    pub thread: String,
    /// The sender's own id of the message: the same id again is the same message.
    pub external_id: String,
    /// What it says.
    pub parts: Vec<Part>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its session.
    pub session: SessionId,
    /// Its inbox row; `None` for a chat command.
    pub inbound: Option<InboundId>,
    /// The turn that takes it, where that is known already.
    pub turn: Option<TurnId>,
    /// It was here before.
    pub is_duplicate: bool,
    /// The answer to a chat command.
    pub command_answer: Option<String>,
}

impl Runtime {
    /// Takes a message: durable when this returns.
    ///
    /// # Errors
    /// When the agent does not exist, the message is too large or the store cannot take it.
    pub async fn send(self: &Arc<Self>, message: NewMessage) -> Result<Taken, ServiceError> {
        let agent = self.agent(&message.agent)?;
        check_size(&message.parts)?;
        if let Some(command) = Command::of(&message.parts) {
            return chat_commands::run(self, &message, command).await;
        }
        let now = self.clock.now();
        let accepted = self.store.write(move |tx| accept(tx, message, agent.mode, now)).await?;
        if let Some((turn, must_stop)) = &accepted.stops
            && *must_stop
        {
            self.queues.stop(&accepted.taken.session, turn);
        }
        if let Some(turn) = &accepted.taken.turn {
            self.hub.open(turn);
        }
        self.wake(&accepted.taken.session);
        Ok(accepted.taken)
    }

    /// Which turn took a message; `None` while it waits.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turn_of(&self, inbound: &InboundId) -> Result<Option<TurnId>, ServiceError> {
        let id = inbound.clone();
        Ok(self.store.read(move |tx| Ok(inbox::get(tx, &id)?.and_then(|row| row.turn))).await?)
    }

    /// The session of a channel's thread, made if it is new.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub async fn open_session(&self, message: &NewMessage) -> Result<SessionRow, ServiceError> {
        let (new, now) = (session_name(message), self.clock.now());
        Ok(self.store.write(move |tx| sessions::find_or_create(tx, &new, now)).await?)
    }
}

struct AcceptedMessage {
    taken: Taken,
    stops: Option<(TurnId, bool)>,
}

fn session_name(message: &NewMessage) -> SessionName {
    // The threads of a platform are its own and several people may share one.
    let is_platform = message.surface == Surface::Channel;
    SessionName {
        agent: message.agent.clone(),
        channel: message.channel.clone(),
        thread: if is_platform {
            message.thread.clone()
        } else {
            own_thread(&message.principal, &message.thread)
        },
        principal: message.principal.clone(),
    }
}

/// What makes a message of a channel the same again. A platform's thread belongs to one agent at a time, so that a message it
/// delivers once more after a new binding is no new one; elsewhere the same id may go to several agents.
fn dedupe_key(message: &NewMessage, session: &SessionRow) -> String {
    let (thread, id) = (&session.thread, &message.external_id);
    match message.surface {
        Surface::Channel => format!("{thread}/{id}"),
        _ => format!("{}/{thread}/{id}", message.agent),
    }
}

/// One transaction: the session, the inbox row and, if none is open, the turn that will take it.
fn accept(tx: &mut Tx<'_>, message: NewMessage, mode: QueueMode, now: Timestamp) -> Result<AcceptedMessage, StoreError> {
    let session = sessions::find_or_create(tx, &session_name(&message), now)?;
    let row = InboxRow {
        id: InboundId::generate(),
        channel: message.channel.clone(),
        external_id: dedupe_key(&message, &session),
        session: session.id.clone(),
        principal: message.principal.clone(),
        surface: message.surface,
        parts: message.parts,
        received_at: now,
        turn: None,
        state: InboxState::Waiting,
    };
    let taken = |inbound, turn, is_duplicate| Taken {
        session: session.id.clone(),
        inbound: Some(inbound),
        turn,
        is_duplicate,
        command_answer: None,
    };
    let inbound = match inbox::accept(tx, &row)? {
        Accepted::Duplicate { inbound, turn } => {
            return Ok(AcceptedMessage {
                taken: taken(inbound, turn, true),
                stops: None,
            });
        }
        Accepted::New => row.id,
    };
    let Some(open) = turns::open_of_session(tx, &session.id)? else {
        let turn = new_turn(tx, &session, &message.principal, message.surface, now)?;
        return Ok(AcceptedMessage {
            taken: taken(inbound, Some(turn), false),
            stops: None,
        });
    };
    if open.status == TurnStatus::Waiting {
        // New words take the place of the answer that was waited for.
        approvals::supersede(tx, &open.id, &session.id, now)?;
        turns::update_status(tx, &open.id, TurnStatus::Running)?;
        return Ok(AcceptedMessage {
            taken: taken(inbound, Some(open.id), false),
            stops: None,
        });
    }
    let joins = (mode == QueueMode::Steer).then(|| open.id.clone());
    let stops = (mode == QueueMode::Interrupt).then(|| (open.id.clone(), true));
    Ok(AcceptedMessage {
        taken: taken(inbound, joins, false),
        stops,
    })
}

fn new_turn(tx: &mut Tx<'_>, session: &SessionRow, principal: &Principal, surface: Surface, now: Timestamp) -> Result<TurnId, StoreError> {
    let row = turn_row(TurnId::generate(), session, principal, surface, now);
    turns::insert(tx, &row)?;
    Ok(row.id)
}

/// The row of a turn that begins now.
pub(crate) fn turn_row(id: TurnId, session: &SessionRow, principal: &Principal, surface: Surface, now: Timestamp) -> TurnRow {
    TurnRow {
        id,
        session: session.id.clone(),
        agent: session.agent.clone(),
        principal: principal.clone(),
        surface,
        status: TurnStatus::Running,
        text: String::new(),
        steps: 0,
        cost: Usd::ZERO,
        input_tokens: 0,
        output_tokens: 0,
        started_at: now,
        ended_at: None,
    }
}

/// Makes a turn for what waits in a session without an open one. False when nothing waits.
pub(crate) async fn begin_turn(runtime: &Arc<Runtime>, session: &SessionRow) -> Result<bool, ServiceError> {
    let (session, now) = (session.clone(), runtime.clock.now());
    let begun = runtime
        .store
        .write(move |tx| {
            // A message that came since the look at the rows has made its own turn.
            if turns::open_of_session(tx, &session.id)?.is_some() {
                return Ok(None);
            }
            let waiting = inbox::waiting(tx, &session.id)?;
            let Some(first) = waiting.first() else { return Ok(None) };
            new_turn(tx, &session, &first.principal, first.surface, now).map(Some)
        })
        .await?;
    if let Some(turn) = &begun {
        runtime.hub.open(turn);
    }
    Ok(begun.is_some())
}

/// The first event of a turn: what waits, taken.
pub(crate) async fn take_for_new(runtime: &Arc<Runtime>, turn: &TurnId, session: &SessionRow) -> Result<JournalEvent, ServiceError> {
    let one_at_a_time = runtime.agent(&session.agent).is_ok_and(|agent| agent.mode == QueueMode::Followup);
    let (turn, session_id, now) = (turn.clone(), session.id.clone(), runtime.clock.now());
    // Nobody has been told of it: a power cut that takes it back leaves the messages waiting.
    let taken = runtime.store.write_unsynced(move |tx| {
        let limit = if one_at_a_time { 1 } else { usize::MAX };
        let (inbound, messages) = take(tx, &turn, &session_id, limit, now)?;
        let event = JournalEvent::TurnStarted { inbound, messages };
        journal::append(tx, &turn, &session_id, now, &event)?;
        Ok(event)
    });
    Ok(taken.await?)
}

/// What came for a running turn since the last look; one cheap read when nothing did.
pub(crate) async fn take_for_running(
    runtime: &Arc<Runtime>,
    turn: &TurnId,
    session: &SessionId,
) -> Result<Option<JournalEvent>, StoreError> {
    let id = session.clone();
    let has_waiting = runtime.store.read(move |tx| inbox::has_waiting(tx, &id)).await?;
    if !has_waiting {
        return Ok(None);
    }
    let (turn, session, now) = (turn.clone(), session.clone(), runtime.clock.now());
    runtime
        .store
        .write(move |tx| {
            let (inbound, messages) = take(tx, &turn, &session, usize::MAX, now)?;
            if inbound.is_empty() {
                return Ok(None);
            }
            let event = JournalEvent::Steered { inbound, messages };
            journal::append(tx, &turn, &session, now, &event)?;
            Ok(Some(event))
        })
        .await
}

fn take(
    tx: &mut Tx<'_>,
    turn: &TurnId,
    session: &SessionId,
    limit: usize,
    now: Timestamp,
) -> Result<(Vec<InboundId>, Vec<Message>), StoreError> {
    let mut waiting = inbox::waiting(tx, session)?;
    let mut messages = Vec::new();
    if limit > 1 && waiting.len() > QUEUE_CAP {
        let dropped = inbox::drop_oldest(tx, session, QUEUE_CAP)?;
        waiting.drain(..dropped.len());
        messages.push(dropped_note(&dropped));
    }
    waiting.truncate(limit);
    let ids: Vec<InboundId> = waiting.iter().map(|row| row.id.clone()).collect();
    inbox::take(tx, &ids, turn)?;
    messages.extend(waiting.into_iter().map(|row| user_message(row, now)));
    Ok((ids, messages))
}

/// The time stands in the message and not in the rules, so that the front of every prompt stays the same bytes.
fn user_message(row: InboxRow, now: Timestamp) -> Message {
    let mut parts = vec![Part::text(format!("[{}] ", now.strftime("%Y-%m-%d %H:%M UTC")))];
    for part in row.parts {
        match (parts.last_mut(), part) {
            (Some(Part::Text { text, .. }), Part::Text { text: more, .. }) => text.push_str(&more),
            (_, other) => parts.push(other),
        }
    }
    Message { role: Role::User, parts }
}

fn dropped_note(dropped: &[InboxRow]) -> Message {
    let firsts: Vec<String> = dropped
        .iter()
        .take(QUEUE_CAP)
        .map(|row| {
            let text = Message {
                role: Role::User,
                parts: row.parts.clone(),
            }
            .joined_text();
            text.chars().take(60).collect()
        })
        .collect();
    let text = format!(
        "[steward] {} messages came at once and were dropped unread; they began: {}",
        dropped.len(),
        firsts.join(" | ")
    );
    Message::text(Role::User, text)
}

fn check_size(parts: &[Part]) -> Result<(), ServiceError> {
    let mut text_bytes = 0;
    let mut media_bytes = 0;
    for part in parts {
        match part {
            Part::Text { text, .. } => text_bytes += text.len(),
            Part::Image { .. }
            | Part::File { .. }
            | Part::Thinking { .. }
            | Part::ToolCall(_)
            | Part::ToolResult { .. }
            | Part::Opaque { .. } => {
                media_bytes += serde_json::to_string(part).map_or(0, |json| json.len());
            }
        }
    }
    if text_bytes == 0 && media_bytes == 0 {
        return Err(ServiceError::Invalid("the message is empty".into()));
    }
    if text_bytes > MESSAGE_BYTES {
        let hint = "put long text into a file of the workspace and name it";
        return Err(ServiceError::Invalid(format!(
            "the message has {text_bytes} bytes, the limit is {MESSAGE_BYTES}; {hint}"
        )));
    }
    if media_bytes > MEDIA_BYTES {
        return Err(ServiceError::Invalid(format!(
            "the attachments have {media_bytes} bytes, the limit is {MEDIA_BYTES}"
        )));
    }
    Ok(())
}
