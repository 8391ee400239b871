//! Questions to a person: opened with the turn parked as a row, answered from any surface, first answer wins.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use steward_agent::ask;
use steward_domain::approval::{ApprovalKind, ApprovalState, Scope};
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::decision::{Decision, Gate, GateRequest, Ruling};
use steward_domain::files::{FileRules, Leave};
use steward_domain::id::{ApprovalId, SessionId, TurnId};
use steward_domain::journal::TurnStatus;
use steward_domain::journal::{CallIntent, JournalEvent};
use steward_policy::policy::Policy;
use steward_store::approvals::{ApprovalAnswer, ApprovalRow};
use steward_store::grants::{GrantRow, NewGrant};
use steward_store::{StoreError, Tx, approvals, grants, journal, turns};

use crate::access::{Identity, Right, may, may_see};
use crate::config::Agent;
use crate::error::ServiceError;
use crate::runtime::Runtime;

/// Questions listed or expired at once.
const SHOWN: usize = 500;
/// How long a person has to answer whether a call may run. Silence is No.
const EXPIRY: Duration = Duration::from_secs(10 * 60);
/// How long a person has to answer an agent's own question.
const QUESTION_EXPIRY: Duration = Duration::from_secs(24 * 3_600);

/// A question as surfaces show it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ApprovalView {
    /// Its id.
    pub id: String,
    /// The turn that waits.
    pub turn_id: String,
    /// The agent.
    pub agent: String,
    /// A call, or the agent's own question.
    pub kind: ApprovalKind,
    /// The tool.
    pub tool: String,
    /// Exactly what will run.
    pub args: Value,
    /// What it would do.
    pub effect: String,
    /// Why it asks.
    pub reason: String,
    /// After this it is No. RFC 3339.
    pub expires_at: String,
    /// Hash of what is asked; an answer that names another is refused.
    pub digest: String,
    /// Fixed answers of a question.
    pub choices: Vec<String>,
    /// Where it stands.
    pub state: ApprovalState,
    /// What the person wrote.
    pub note: String,
}

/// A person's answer.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Yes or no.
    pub is_allowed: bool,
    /// How long a yes holds.
    pub scope: Scope,
    /// The digest that was shown, if the surface showed one.
    pub digest: Option<String>,
    /// A word with it; the answer itself for a question.
    pub note: String,
}

impl Runtime {
    /// Questions, newest last. `only_waiting` leaves out answered ones.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn approvals(&self, only_waiting: bool, identity: &Identity) -> Result<Vec<ApprovalView>, ServiceError> {
        let state = only_waiting.then_some(ApprovalState::Waiting);
        let rows = self
            .store
            .read(move |tx| {
                let rows = approvals::list(tx, state, SHOWN)?;
                rows.into_iter()
                    .map(|row| Ok((turns::get(tx, &row.turn)?, row)))
                    .collect::<Result<Vec<_>, StoreError>>()
            })
            .await?;
        let visible = rows
            .into_iter()
            .filter(|(turn, _)| turn.as_ref().is_some_and(|turn| may_see(identity, &turn.principal)));
        Ok(visible.map(|(_, row)| view(row)).collect())
    }

    /// One question.
    ///
    /// # Errors
    /// When it does not exist or is not the caller's to see.
    pub async fn approval(&self, id: &ApprovalId, identity: &Identity) -> Result<ApprovalView, ServiceError> {
        let (row, _) = self.visible_approval(id, identity).await?;
        Ok(view(row))
    }

    /// Answers a question. The first answer wins and is durable when this returns.
    ///
    /// # Errors
    /// Not the caller's to answer, answered or expired already, or changed since it was shown.
    pub async fn decide(self: &Arc<Self>, id: &ApprovalId, verdict: Verdict, identity: &Identity) -> Result<ApprovalView, ServiceError> {
        let (row, turn_owner) = self.visible_approval(id, identity).await?;
        let may_answer = may(identity.role, Right::Operate) || turn_owner == identity.principal;
        if !may_answer {
            return Err(ServiceError::Denied(
                "only the person who asked, an operator or an owner may answer this".into(),
            ));
        }
        if verdict.scope == Scope::Always && !may(identity.role, Right::Operate) {
            return Err(ServiceError::Denied("an answer for always needs an operator or an owner".into()));
        }
        if verdict.digest.as_ref().is_some_and(|digest| *digest != row.digest) {
            return Err(ServiceError::Conflict(
                "what is asked has changed since it was shown; look again".into(),
            ));
        }
        let now = self.clock.now();
        if now >= row.expires_at {
            return Err(ServiceError::Conflict(
                "the question has expired; ask the agent to try again".into(),
            ));
        }
        let by = identity.principal.to_string();
        let written = row.clone();
        let did_answer = self.store.write(move |tx| answer(tx, &written, &verdict, &by, now)).await?;
        if !did_answer {
            return Err(ServiceError::Conflict("it was answered already".into()));
        }
        self.hub.open(&row.turn);
        self.wake(&row.session);
        self.approval(id, identity).await
    }

    async fn visible_approval(
        &self,
        id: &ApprovalId,
        identity: &Identity,
    ) -> Result<(ApprovalRow, steward_domain::principal::Principal), ServiceError> {
        let wanted = id.clone();
        let found = self
            .store
            .read(move |tx| {
                let Some(row) = approvals::get(tx, &wanted)? else { return Ok(None) };
                Ok(turns::get(tx, &row.turn)?.map(|turn| (row, turn.principal)))
            })
            .await?;
        match found {
            Some((row, owner)) if may_see(identity, &owner) => Ok((row, owner)),
            Some(_) | None => Err(ServiceError::not_found("approval", id)),
        }
    }

    /// Answers No to every question whose time is over, and lets their turns go on.
    pub(crate) async fn expire_approvals(self: &Arc<Self>) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let due = self.store.read(move |tx| approvals::due(tx, now, SHOWN)).await?;
        for row in due {
            let session = row.session.clone();
            let turn = row.turn.clone();
            let did_expire = self.store.write(move |tx| expire(tx, &row, now)).await?;
            if did_expire {
                self.hub.open(&turn);
                self.wake(&session);
            }
        }
        Ok(())
    }
}

/// Opens a question: its row, its event and the parked turn in one commit.
pub(crate) async fn open(
    runtime: &Arc<Runtime>,
    agent: &Agent,
    place: (&TurnId, &SessionId),
    intent: CallIntent,
) -> Result<ApprovalId, StoreError> {
    let now = runtime.clock.now();
    let is_question = intent.tool == ask::NAME;
    let expiry = if is_question { QUESTION_EXPIRY } else { EXPIRY };
    let choices = intent.arguments.get("choices").cloned().unwrap_or_default();
    let new = ApprovalRow {
        id: ApprovalId::generate(),
        turn: place.0.clone(),
        call: intent.id.clone(),
        session: place.1.clone(),
        agent: agent.name.clone(),
        kind: if is_question { ApprovalKind::Question } else { ApprovalKind::Call },
        digest: digest_of(&intent.tool, &intent.arguments),
        tool: intent.tool,
        args: intent.arguments,
        effect: intent.effect,
        reason: intent.ruling.reason,
        rule: intent.ruling.rule,
        choices: serde_json::from_value(choices).unwrap_or_default(),
        expires_at: now.checked_add(expiry).unwrap_or(Timestamp::MAX),
        state: ApprovalState::Waiting,
        opened_at: now,
        answered_at: None,
        answered_by: None,
        scope: None,
        note: String::new(),
    };
    runtime
        .store
        .write(move |tx| {
            approvals::open(tx, &new)?;
            let event = JournalEvent::ApprovalOpened {
                approval: new.id.clone(),
                call: new.call.clone(),
            };
            journal::append(tx, &new.turn, &new.session, now, &event)?;
            Ok(new.id)
        })
        .await
}

fn answer(tx: &mut Tx<'_>, row: &ApprovalRow, verdict: &Verdict, by: &str, now: Timestamp) -> Result<bool, StoreError> {
    let state = match (row.kind, verdict.is_allowed) {
        (ApprovalKind::Question, true) => ApprovalState::Answered,
        (ApprovalKind::Call, true) => ApprovalState::Allowed,
        (_, false) => ApprovalState::Denied,
    };
    let given = ApprovalAnswer {
        state,
        at: now,
        by: by.to_owned(),
        scope: Some(verdict.scope),
        note: verdict.note.clone(),
    };
    if !close(tx, row, &given, now)? {
        return Ok(false);
    }
    let is_grant = row.kind == ApprovalKind::Call && verdict.is_allowed && verdict.scope != Scope::Once;
    if is_grant {
        let session = (verdict.scope == Scope::Session).then(|| row.session.clone());
        let pattern = pattern_of(&row.tool, &row.args);
        let grant = NewGrant {
            agent: row.agent.clone(),
            session,
            tool: row.tool.clone(),
            pattern,
            created_at: now,
            created_by: by.to_owned(),
        };
        grants::insert(tx, &grant)?;
    }
    Ok(true)
}

fn expire(tx: &mut Tx<'_>, row: &ApprovalRow, now: Timestamp) -> Result<bool, StoreError> {
    let given = ApprovalAnswer {
        state: ApprovalState::Expired,
        at: now,
        by: "time".into(),
        scope: None,
        note: "nobody answered in time".into(),
    };
    close(tx, row, &given, now)
}

/// New words of the person stand for No to whatever their turn waits for; for a question they are its answer.
pub(crate) fn supersede(tx: &mut Tx<'_>, turn: &TurnId, session: &SessionId, now: Timestamp) -> Result<(), StoreError> {
    let _ = session;
    for row in approvals::of_turn(tx, turn)? {
        if row.state == ApprovalState::Waiting {
            let given = ApprovalAnswer {
                state: ApprovalState::Denied,
                at: now,
                by: "person".into(),
                scope: None,
                note: "the person wrote a new message instead".into(),
            };
            close(tx, &row, &given, now)?;
        }
    }
    Ok(())
}

/// Closes a question once: its row, its event, and its turn set running when nothing more is open.
fn close(tx: &mut Tx<'_>, row: &ApprovalRow, given: &ApprovalAnswer, now: Timestamp) -> Result<bool, StoreError> {
    if !approvals::answer(tx, &row.id, given)? {
        return Ok(false);
    }
    let is_allowed = matches!(given.state, ApprovalState::Allowed | ApprovalState::Answered);
    let event = JournalEvent::ApprovalAnswered {
        approval: row.id.clone(),
        call: row.call.clone(),
        is_allowed,
        note: given.note.clone(),
        by: given.by.clone(),
    };
    journal::append(tx, &row.turn, &row.session, now, &event)?;
    let still_open = approvals::of_turn(tx, &row.turn)?
        .iter()
        .any(|other| other.state == ApprovalState::Waiting);
    if !still_open {
        turns::update_status(tx, &row.turn, TurnStatus::Running)?;
    }
    Ok(true)
}

/// The gate of one session: the policy, with what people allowed for this session or for always.
pub(crate) struct SessionGate {
    policy: Arc<Policy>,
    grants: Vec<GrantRow>,
}

impl SessionGate {
    pub(crate) async fn load(runtime: &Arc<Runtime>, policy: Arc<Policy>, agent: &Agent, session: &SessionId) -> Result<Self, StoreError> {
        let (agent, session) = (agent.name.clone(), session.clone());
        let grants = runtime.store.read(move |tx| grants::matching(tx, &agent, &session)).await?;
        Ok(SessionGate { policy, grants })
    }

    /// The allowance that a person gave for such a call, where the policy asks.
    fn grant(&self, request: &GateRequest, ruling: &Ruling) -> Option<&GrantRow> {
        // An allowance was given without outside text in view, so that reason to ask still asks.
        let may_be_granted = ruling.decision == Decision::Ask && ruling.rule != "marks.outside";
        // It was given for the arguments as they were shown; where a link leads may have changed since.
        let goes_through_links = request.touched.files.iter().any(|file| file.places.len() > 1);
        if !may_be_granted || goes_through_links {
            return None;
        }
        let pattern = pattern_of(&request.tool, &request.arguments);
        self.grants
            .iter()
            .find(|grant| grant.grant.tool == request.tool && grant.grant.pattern == pattern)
    }
}

impl Gate for SessionGate {
    fn decide(&self, request: &GateRequest) -> Ruling {
        let ruling = self.policy.decide(request);
        match self.grant(request, &ruling) {
            Some(grant) => Ruling {
                decision: Decision::Allow,
                reason: format!("allowed before by {}", grant.grant.created_by),
                rule: format!("grant.{}", grant.id),
            },
            None => ruling,
        }
    }

    fn file_rules(&self, request: &GateRequest, leave: Leave) -> Arc<dyn FileRules> {
        let is_granted = self.grant(request, &self.policy.decide(request)).is_some();
        self.policy.file_rules(request, if is_granted { Leave::Given } else { leave })
    }
}

/// What an allowance covers: the very arguments, except an address, where it covers the host.
fn pattern_of(tool: &str, arguments: &Value) -> String {
    match steward_policy::rule::host_of(arguments) {
        Some(host) => format!("host:{host}"),
        None => format!("args:{}", digest_of(tool, arguments)),
    }
}

/// SHA-256 over the tool and its arguments in a fixed order of keys.
fn digest_of(tool: &str, arguments: &Value) -> String {
    let mut hasher = Sha256::new();
    hasher.update(tool.as_bytes());
    hasher.update([0]);
    hasher.update(canonical(arguments).to_string().as_bytes());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), canonical(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// A row as surfaces show it.
pub(crate) fn view(row: ApprovalRow) -> ApprovalView {
    ApprovalView {
        id: row.id.to_string(),
        turn_id: row.turn.to_string(),
        agent: row.agent.to_string(),
        kind: row.kind,
        tool: row.tool,
        args: row.args,
        effect: serde_json::to_value(row.effect)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default(),
        reason: row.reason,
        expires_at: rfc3339(row.expires_at),
        digest: row.digest,
        choices: row.choices,
        state: row.state,
        note: row.note,
    }
}
