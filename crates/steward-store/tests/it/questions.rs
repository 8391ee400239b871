//! Approvals and grants.

use steward_domain::approval::{ApprovalKind, ApprovalState, Scope};
use steward_domain::decision::Effect;
use steward_domain::id::{AgentName, ApprovalId, CallId};
use steward_store::Store;
use steward_store::approvals::{self, ApprovalAnswer, ApprovalRow};
use steward_store::grants::{self, NewGrant};
use steward_store::turns::TurnRow;

use crate::database::{Database, at, on_both};
use crate::rows::{arguments, session, turn};

on_both![
    a_question_is_answered_once,
    questions_are_found_by_state_by_turn_and_when_overdue,
    grants_match_their_agent_and_session,
];

fn question(turn: &TurnRow, expires_in: i64) -> ApprovalRow {
    ApprovalRow {
        id: ApprovalId::generate(),
        turn: turn.id.clone(),
        call: CallId::from("call_1"),
        session: turn.session.clone(),
        agent: turn.agent.clone(),
        kind: ApprovalKind::Call,
        tool: "shell".to_owned(),
        args: arguments(),
        effect: Effect::Destroys,
        reason: "it removes files".to_owned(),
        rule: "policy.ask[0]".to_owned(),
        digest: "d1".to_owned(),
        choices: vec!["yes".to_owned(), "no".to_owned()],
        state: ApprovalState::Waiting,
        opened_at: at(10),
        expires_at: at(expires_in),
        answered_at: None,
        answered_by: None,
        scope: None,
        note: String::new(),
    }
}

async fn open(store: &Store, row: &ApprovalRow) {
    let row = row.clone();
    store.write(move |tx| approvals::open(tx, &row)).await.unwrap();
}

async fn a_question_is_answered_once(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    let row = question(&turn, 100);
    open(&store, &row).await;
    let answer = ApprovalAnswer {
        state: ApprovalState::Allowed,
        at: at(20),
        by: "ana".to_owned(),
        scope: Some(Scope::Session),
        note: "go on".to_owned(),
    };
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let (id, answer) = (row.id.clone(), answer.clone());
        outcomes.push(store.write(move |tx| approvals::answer(tx, &id, &answer)).await.unwrap());
    }
    assert_eq!(outcomes, [true, false]);
    let id = row.id.clone();
    let read = store.read(move |tx| approvals::get(tx, &id)).await.unwrap().unwrap();
    let wanted = ApprovalRow {
        state: ApprovalState::Allowed,
        answered_at: Some(at(20)),
        answered_by: Some("ana".to_owned()),
        scope: Some(Scope::Session),
        note: "go on".to_owned(),
        ..row
    };
    assert_eq!(read, wanted);
}

async fn questions_are_found_by_state_by_turn_and_when_overdue(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    let (early, late) = (question(&turn, 50), question(&turn, 500));
    open(&store, &early).await;
    open(&store, &late).await;
    let due = store.read(|tx| approvals::due(tx, at(50), 10)).await.unwrap();
    assert_eq!(due, std::slice::from_ref(&early));
    let waiting = store
        .read(|tx| approvals::list(tx, Some(ApprovalState::Waiting), 10))
        .await
        .unwrap();
    assert_eq!(waiting, [late.clone(), early.clone()]);
    let denied = store.read(|tx| approvals::list(tx, Some(ApprovalState::Denied), 10)).await.unwrap();
    assert_eq!(denied, []);
    let any = store.read(|tx| approvals::list(tx, None, 1)).await.unwrap();
    assert_eq!(any, std::slice::from_ref(&late));
    let of_turn = store.read(move |tx| approvals::of_turn(tx, &turn.id)).await.unwrap();
    assert_eq!(of_turn, [early, late]);
}

async fn grants_match_their_agent_and_session(database: Database) {
    let store = database.open();
    let here = session(&store, "a").await;
    let elsewhere = session(&store, "b").await;
    let grant = |agent: &str, session: Option<_>| NewGrant {
        agent: AgentName::from(agent),
        session,
        tool: "shell".to_owned(),
        pattern: "git status*".to_owned(),
        created_at: at(5),
        created_by: "ana".to_owned(),
    };
    let grants = [
        grant("main", None),
        grant("main", Some(here.id.clone())),
        grant("main", Some(elsewhere.id)),
        grant("other", None),
    ];
    let stored = grants.clone();
    let ids = store
        .write(move |tx| stored.iter().map(|grant| grants::insert(tx, grant)).collect::<Result<Vec<_>, _>>())
        .await
        .unwrap();
    let matching = store
        .read(move |tx| grants::matching(tx, &AgentName::from("main"), &here.id))
        .await
        .unwrap();
    let matching: Vec<_> = matching.into_iter().map(|row| row.grant).collect();
    assert_eq!(matching, grants[..2]);
    let first = ids[0];
    assert!(store.write(move |tx| grants::delete(tx, first)).await.unwrap());
    assert!(!store.write(move |tx| grants::delete(tx, first)).await.unwrap());
    let left: Vec<_> = store
        .read(|tx| grants::list(tx, 10))
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(left, [ids[3], ids[2], ids[1]]);
}
