//! Sessions and their messages as surfaces show them.

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::rfc3339;
use steward_domain::id::SessionId;
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_store::journal::JournalRow;
use steward_store::sessions::SessionRow;
use steward_store::{StoreError, Tx, journal, outbox, sessions};

use crate::access::{Identity, may_see};
use crate::error::ServiceError;
use crate::runtime::Runtime;
use crate::turns::{CallView, TurnView, shown_text, view};

/// Messages of the `message` tool shown in a thread.
const PUSHED: usize = 100;
/// Characters of a session's title.
const TITLE_CHARS: usize = 60;

/// One line of the list of sessions.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionLine {
    /// Its id.
    pub id: String,
    /// The name the caller gave: the thread.
    pub name: String,
    /// The agent.
    pub agent: String,
    /// The channel.
    pub channel: String,
    /// The beginning of its first message.
    pub title: String,
    /// RFC 3339: when something last happened.
    pub last_at: String,
    /// The model set for this session, if one is.
    pub model: Option<String>,
}

/// One message of a session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MessageView {
    /// Its place in the journal.
    pub seq: i64,
    /// `user`, `assistant` or `note`.
    #[schemars(extend("enum" = ["user", "assistant", "note"]))]
    pub role: &'static str,
    /// What it says.
    pub text: String,
    /// RFC 3339.
    pub at: String,
    /// The turn it belongs to.
    pub turn_id: String,
    /// How the turn stands, on its reply.
    pub turn_status: Option<TurnStatus>,
    /// The turn's calls, on its reply.
    pub calls: Vec<CallView>,
    /// The turn's cost, on its reply.
    pub cost_usd: Option<Usd>,
    /// The target that answered last, on its reply.
    pub target: Option<String>,
}

impl Runtime {
    /// Sessions, the latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn sessions(&self, limit: u32, identity: &Identity) -> Result<Vec<SessionLine>, ServiceError> {
        let limit = usize::try_from(limit.clamp(1, 500)).unwrap_or(500);
        let rows = self
            .store
            .read(move |tx| {
                let rows = sessions::list(tx, limit)?;
                rows.into_iter()
                    .map(|row| Ok((first_event(tx, &row.id)?, row)))
                    .collect::<Result<Vec<_>, steward_store::StoreError>>()
            })
            .await?;
        let visible = rows.into_iter().filter(|(_, row)| may_see(identity, &row.principal));
        Ok(visible.map(|(first, row)| line(row, first.as_ref())).collect())
    }

    /// A session by its id or by the name the caller gave.
    ///
    /// # Errors
    /// When it does not exist or is not the caller's to see.
    pub async fn session(&self, id_or_name: &str, identity: &Identity) -> Result<SessionRow, ServiceError> {
        let (wanted, own) = (id_or_name.to_owned(), own_thread(&identity.principal, id_or_name));
        let found = self
            .store
            .read(move |tx| Ok(sessions::by_id_or_thread(tx, &own)?.or(sessions::by_id_or_thread(tx, &wanted)?)))
            .await?;
        found
            .filter(|row| may_see(identity, &row.principal))
            .ok_or_else(|| ServiceError::not_found("session", id_or_name))
    }

    /// Messages of a session before a place in the journal, oldest first, and whether there are more.
    ///
    /// # Errors
    /// When it does not exist or is not the caller's to see.
    pub async fn messages(
        &self,
        id_or_name: &str,
        before: Option<i64>,
        limit: u32,
        identity: &Identity,
    ) -> Result<(Vec<MessageView>, bool), ServiceError> {
        let session = self.session(id_or_name, identity).await?;
        let id = session.id.clone();
        // A turn has several events a message; reading four a message is enough to fill a page in most sessions.
        let events = usize::try_from(limit.clamp(1, 200)).unwrap_or(200).saturating_mul(4);
        let mut entries = self.store.read(move |tx| journal::of_session(tx, &id, before, events)).await?;
        let has_more = entries.len() == events;
        entries.reverse();
        let mut turn_ids: Vec<_> = entries.iter().map(|entry| entry.turn.clone()).collect();
        turn_ids.dedup();
        if has_more && turn_ids.len() > 1 {
            // The first turn may be cut by the page; it comes whole with the next one.
            let cut = turn_ids.remove(0);
            entries.retain(|entry| entry.turn != cut);
        }
        let mut messages = Vec::new();
        for turn_id in turn_ids {
            let whole = self
                .store
                .read(move |tx| Ok((steward_store::turns::get(tx, &turn_id)?, journal::of_turn(tx, &turn_id)?)))
                .await?;
            let (Some(row), of_turn) = whole else { continue };
            messages.extend(messages_of(&view(&row, shown_name(&session), &of_turn), &of_turn));
        }
        let oldest_at = if has_more {
            messages.first().map(|message| message.at.clone())
        } else {
            None
        };
        messages.extend(self.pushed_messages(&session, before, oldest_at).await?);
        messages.sort_by(|a, b| a.at.cmp(&b.at));
        Ok((messages, has_more))
    }

    /// What agents sent to this thread with the `message` tool, on the newest page.
    async fn pushed_messages(
        &self,
        session: &SessionRow,
        before: Option<i64>,
        oldest_at: Option<String>,
    ) -> Result<Vec<MessageView>, ServiceError> {
        let is_own_channel = !self.channels.contains_key(&session.channel);
        if before.is_some() || !is_own_channel {
            return Ok(Vec::new());
        }
        let (channel, thread) = (session.channel.clone(), session.thread.clone());
        let rows = self.store.read(move |tx| outbox::of_thread(tx, &channel, &thread, PUSHED)).await?;
        let views = rows.into_iter().map(|row| MessageView {
            seq: 0,
            role: "assistant",
            text: row.message.text,
            at: rfc3339(row.message.created_at),
            turn_id: row.message.turn.map(|turn| turn.to_string()).unwrap_or_default(),
            turn_status: None,
            calls: Vec::new(),
            cost_usd: None,
            target: None,
        });
        Ok(views
            .filter(|view| oldest_at.as_ref().is_none_or(|oldest| view.at >= *oldest))
            .collect())
    }

    /// Sets the route or model of a session; `None` goes back to the agent's.
    ///
    /// # Errors
    /// When nothing of that name exists.
    pub async fn set_session_model(&self, session: &SessionId, model: Option<String>) -> Result<(), ServiceError> {
        if let Some(name) = &model
            && !self.settings().models.exists(name)
        {
            return Err(ServiceError::Invalid(format!(
                "there is no route or model {name:?}; `steward models list` shows what there is"
            )));
        }
        let id = session.clone();
        Ok(self.store.write(move |tx| sessions::set_model(tx, &id, model.as_deref())).await?)
    }
}

/// The thread under which a caller's session is kept. Everyone but the owner has names of their own: the same name is another session.
pub(crate) fn own_thread(principal: &Principal, name: &str) -> String {
    let prefix = format!("{principal}/");
    let is_whole = *principal == Identity::owner().principal || name.starts_with(&prefix);
    if is_whole { name.to_owned() } else { prefix + name }
}

/// The name that the caller gave.
pub(crate) fn shown_name(row: &SessionRow) -> &str {
    let rest = row.thread.strip_prefix(&row.principal.to_string());
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(&row.thread)
}

fn line(row: SessionRow, first: Option<&JournalRow>) -> SessionLine {
    let title = match first.map(|entry| &entry.event) {
        Some(JournalEvent::TurnStarted { messages, .. }) => messages.first().map(shown_text).unwrap_or_default(),
        Some(_) | None => String::new(),
    };
    SessionLine {
        id: row.id.to_string(),
        name: shown_name(&row).to_owned(),
        agent: row.agent.to_string(),
        channel: row.channel.to_string(),
        title: title.trim().chars().take(TITLE_CHARS).collect(),
        last_at: rfc3339(row.last_at),
        model: row.model,
    }
}

fn messages_of(turn: &TurnView, entries: &[JournalRow]) -> Vec<MessageView> {
    let plain = |seq, role, text, at| MessageView {
        seq,
        role,
        text,
        at,
        turn_id: turn.id.clone(),
        turn_status: None,
        calls: Vec::new(),
        cost_usd: None,
        target: None,
    };
    let mut messages = Vec::new();
    let mut last_seq = 0;
    for entry in entries {
        last_seq = entry.seq;
        match &entry.event {
            JournalEvent::TurnStarted { messages: new, .. } | JournalEvent::Steered { messages: new, .. } => {
                messages.extend(
                    new.iter()
                        .map(|message| plain(entry.seq, "user", shown_text(message), rfc3339(entry.at))),
                );
            }
            JournalEvent::Noted { text } => messages.push(plain(entry.seq, "note", text.clone(), rfc3339(entry.at))),
            _ => {}
        }
    }
    let reply = MessageView {
        turn_status: Some(turn.status),
        calls: turn.steps.iter().flat_map(|step| step.calls.clone()).collect(),
        cost_usd: Some(turn.cost_usd),
        target: turn.steps.last().map(|step| step.target.clone()),
        ..plain(
            last_seq,
            "assistant",
            turn.text.clone(),
            turn.ended_at.clone().unwrap_or_else(|| turn.started_at.clone()),
        )
    };
    messages.push(reply);
    messages
}

/// What a session began with: the first event of its oldest turn.
fn first_event(tx: &mut Tx<'_>, session: &SessionId) -> Result<Option<JournalRow>, StoreError> {
    let oldest = steward_store::turns::first_of_session(tx, session)?;
    match oldest {
        Some(turn) => Ok(journal::of_turn(tx, &turn.id)?.into_iter().next()),
        None => Ok(None),
    }
}
