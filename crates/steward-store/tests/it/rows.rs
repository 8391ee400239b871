//! Rows that most tests need, and the shortest way to write them.

use serde_json::json;
use steward_domain::id::{AgentName, ChannelName, InboundId, SessionId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::message::Part;
use steward_domain::money::Usd;
use steward_domain::principal::{Principal, Surface};
use steward_store::Store;
use steward_store::inbox::{InboxRow, InboxState};
use steward_store::sessions::{self, SessionName, SessionRow};
use steward_store::turns::{self, TurnRow};

use crate::database::at;

pub(crate) fn name(thread: &str) -> SessionName {
    SessionName {
        agent: AgentName::from("main"),
        channel: ChannelName::from("web"),
        thread: thread.to_owned(),
        principal: Principal::User("ana".to_owned()),
    }
}

pub(crate) async fn session(store: &Store, thread: &str) -> SessionRow {
    let name = name(thread);
    store.write(move |tx| sessions::find_or_create(tx, &name, at(1))).await.unwrap()
}

pub(crate) fn turn_row(session: &SessionId) -> TurnRow {
    TurnRow {
        id: TurnId::generate(),
        session: session.clone(),
        agent: AgentName::from("main"),
        principal: Principal::User("ana".to_owned()),
        surface: Surface::Console,
        status: TurnStatus::Running,
        text: String::new(),
        steps: 0,
        cost: Usd::ZERO,
        input_tokens: 0,
        output_tokens: 0,
        started_at: at(2),
        ended_at: None,
    }
}

pub(crate) async fn turn(store: &Store, session: &SessionId) -> TurnRow {
    let row = turn_row(session);
    let stored = row.clone();
    store.write(move |tx| turns::insert(tx, &row)).await.unwrap();
    stored
}

pub(crate) fn message(session: &SessionId, external_id: &str) -> InboxRow {
    InboxRow {
        id: InboundId::generate(),
        channel: ChannelName::from("web"),
        external_id: external_id.to_owned(),
        session: session.clone(),
        principal: Principal::User("ana".to_owned()),
        surface: Surface::Channel,
        parts: vec![Part::text("grüß dich \u{1f642}")],
        received_at: at(3),
        turn: None,
        state: InboxState::Waiting,
    }
}

pub(crate) fn noted(text: &str) -> JournalEvent {
    JournalEvent::Noted { text: text.to_owned() }
}

pub(crate) fn arguments() -> serde_json::Value {
    json!({"path": "notes/übersicht.md", "lines": [1, 2], "nul": "a\u{0}b"})
}
