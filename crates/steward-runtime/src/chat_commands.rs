//! Chat commands, the same in every channel.

use std::sync::Arc;

use steward_domain::approval::Scope;
use steward_domain::id::{ApprovalId, SessionId};
use steward_domain::journal::TurnStatus;
use steward_domain::message::{Message, Part, Role as Speaker};
use steward_domain::money::Usd;
use steward_domain::principal::Role;
use steward_domain::tool::LeftBy;
use steward_store::sessions::SessionRow;
use steward_store::{StoreError, Tx, sessions, turns};

use crate::access::{Identity, Right, may};
use crate::approvals::Verdict;
use crate::error::ServiceError;
use crate::inbox::{NewMessage, Taken};
use crate::runtime::Runtime;
use crate::turn_run::in_words;

const HELP: &str = "/new begins a new session · /stop ends the running turn, or else what earlier ones left in the background · /status shows what runs · /usage shows what this session cost · \
/model NAME changes the model · /agent shows the agent · /compact sums up the conversation · /approve [ID] and /deny [ID] answer a question · /undo puts files of the last turn back · /help";

/// A command with its argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    New,
    Stop,
    Status,
    Usage,
    Model(String),
    Agent,
    Compact,
    Approve(String),
    Deny(String),
    Undo,
    Help,
}

impl Command {
    /// The command in a message, if it is one and nothing else.
    pub(crate) fn of(parts: &[Part]) -> Option<Self> {
        let text = Message {
            role: Speaker::User,
            parts: parts.to_vec(),
        }
        .joined_text();
        let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let argument = rest.trim().to_owned();
        Some(match word {
            "/new" => Command::New,
            "/stop" => Command::Stop,
            "/status" => Command::Status,
            "/usage" => Command::Usage,
            "/model" => Command::Model(argument),
            "/agent" => Command::Agent,
            "/compact" => Command::Compact,
            "/approve" => Command::Approve(argument),
            "/deny" => Command::Deny(argument),
            "/undo" => Command::Undo,
            "/help" => Command::Help,
            _ => return None,
        })
    }
}

/// Runs a command and gives its answer. It costs no tokens.
pub(crate) async fn run(runtime: &Arc<Runtime>, message: &NewMessage, command: Command) -> Result<Taken, ServiceError> {
    let session = runtime.open_session(message).await?;
    let identity = Identity {
        principal: message.principal.clone(),
        role: Role::Member,
        user: None,
        team: None,
        agent: None,
        key: None,
    };
    let answer = match command {
        Command::Help => HELP.to_owned(),
        Command::New => new_session(runtime, &session).await?,
        Command::Stop => stop(runtime, &session, &identity).await?,
        Command::Status => status(runtime, &session).await?,
        Command::Usage => usage(runtime, &session).await?,
        Command::Model(name) => set_model(runtime, &session, name).await?,
        Command::Agent => format!("This session belongs to agent {}.", session.agent),
        Command::Compact => compact(runtime, &session).await?,
        Command::Approve(id) => decide(runtime, &session, &identity, (id, true)).await?,
        Command::Deny(id) => decide(runtime, &session, &identity, (id, false)).await?,
        Command::Undo => undo(runtime, &session, &identity).await?,
    };
    Ok(Taken {
        session: session.id,
        inbound: None,
        turn: None,
        is_duplicate: false,
        command_answer: Some(answer),
    })
}

async fn new_session(runtime: &Arc<Runtime>, session: &SessionRow) -> Result<String, ServiceError> {
    let id = session.id.clone();
    runtime.store.write(move |tx| sessions::reset_thread(tx, &id)).await?;
    Ok("A new session begins with your next message.".into())
}

async fn open_turn(runtime: &Arc<Runtime>, session: &SessionRow) -> Result<Option<turns::TurnRow>, ServiceError> {
    let id = session.id.clone();
    Ok(runtime.store.read(move |tx| turns::open_of_session(tx, &id)).await?)
}

async fn stop(runtime: &Arc<Runtime>, session: &SessionRow, identity: &Identity) -> Result<String, ServiceError> {
    match open_turn(runtime, session).await? {
        Some(turn) => {
            runtime.stop(&turn.id, identity).await?;
            Ok("Stopped.".into())
        }
        None => {
            let may_end = may(identity.role, Right::Operate) || session.principal == identity.principal;
            let ended = match may_end {
                true => runtime.end_left_running(&session.agent, LeftBy::Session(session.id.clone())).await,
                false => Vec::new(),
            };
            if ended.is_empty() {
                return Ok("Nothing is running.".into());
            }
            Ok(format!("Ended what ran in the background: {}.", in_words(&ended)))
        }
    }
}

async fn status(runtime: &Arc<Runtime>, session: &SessionRow) -> Result<String, ServiceError> {
    let agent = runtime.agent(&session.agent)?;
    let model = session.model.clone().unwrap_or(agent.route);
    let state = match open_turn(runtime, session).await? {
        Some(turn) if turn.status == TurnStatus::Waiting => format!("turn {} waits for your answer", turn.id),
        Some(turn) => format!("turn {} is running", turn.id),
        None => "nothing is running".into(),
    };
    Ok(format!("Agent {}, model {model}: {state}.", session.agent))
}

async fn usage(runtime: &Arc<Runtime>, session: &SessionRow) -> Result<String, ServiceError> {
    let id = session.id.clone();
    let spent = runtime.store.read(move |tx| totals_of_session(tx, &id)).await?;
    Ok(format!(
        "This session: {} model calls, {} tokens in, {} out, ${}.",
        spent.0, spent.1, spent.2, spent.3
    ))
}

/// Model calls, tokens in and out, and cost of a session's turns.
fn totals_of_session(tx: &mut Tx<'_>, session: &SessionId) -> Result<(u64, u64, u64, Usd), StoreError> {
    let filter = turns::TurnFilter {
        session: Some(session.clone()),
        ..turns::TurnFilter::default()
    };
    let mut totals = (0, 0, 0, Usd::ZERO);
    for turn in turns::list(tx, &filter, None, usize::MAX >> 1)? {
        totals.0 += u64::from(turn.steps);
        totals.1 += turn.input_tokens;
        totals.2 += turn.output_tokens;
        totals.3 += turn.cost;
    }
    Ok(totals)
}

async fn set_model(runtime: &Arc<Runtime>, session: &SessionRow, name: String) -> Result<String, ServiceError> {
    if name.is_empty() {
        let agent = runtime.agent(&session.agent)?;
        let model = session.model.clone().unwrap_or(agent.route);
        return Ok(format!(
            "The model is {model}. /model NAME changes it for this session, /model default goes back."
        ));
    }
    let wanted = (name != "default").then_some(name.clone());
    runtime.set_session_model(&session.id, wanted).await?;
    Ok(format!("This session now uses {name}."))
}

async fn compact(runtime: &Arc<Runtime>, session: &SessionRow) -> Result<String, ServiceError> {
    if open_turn(runtime, session).await?.is_some() {
        return Ok("A turn is running; it compacts by itself when it needs room.".into());
    }
    let (before, after) = runtime.compact_session(session).await?;
    Ok(format!("Compacted from about {before} to {after} tokens."))
}

async fn decide(
    runtime: &Arc<Runtime>,
    session: &SessionRow,
    identity: &Identity,
    (id, is_allowed): (String, bool),
) -> Result<String, ServiceError> {
    let waiting = runtime.approvals(true, identity).await?;
    let turn = open_turn(runtime, session)
        .await?
        .map(|turn| turn.id.to_string())
        .unwrap_or_default();
    let of_session: Vec<_> = waiting.iter().filter(|approval| approval.turn_id == turn).collect();
    let wanted = match (id.as_str(), of_session.as_slice()) {
        ("", [only]) => only.id.clone(),
        ("", []) => return Ok("Nothing waits for an answer here.".into()),
        ("", several) => {
            let ids: Vec<&str> = several.iter().map(|approval| approval.id.as_str()).collect();
            return Ok(format!("Several questions wait; say which: {}", ids.join(", ")));
        }
        (given, _) => given.to_owned(),
    };
    let verdict = Verdict {
        is_allowed,
        scope: Scope::Once,
        digest: None,
        note: String::new(),
    };
    runtime.decide(&ApprovalId::from_text(wanted.clone()), verdict, identity).await?;
    Ok(if is_allowed {
        format!("Allowed {wanted}.")
    } else {
        format!("Denied {wanted}.")
    })
}

async fn undo(runtime: &Arc<Runtime>, session: &SessionRow, identity: &Identity) -> Result<String, ServiceError> {
    let id = session.id.clone();
    let last = runtime.store.read(move |tx| turns::last_of_session(tx, &id)).await?;
    let Some(turn) = last else {
        return Ok("There is no turn to undo.".into());
    };
    let undone = runtime.undo(&turn.id, identity).await?;
    Ok(format!(
        "Put back {} files, left {} that have changed since.",
        undone.restored.len(),
        undone.skipped.len()
    ))
}

#[cfg(test)]
mod tests;
