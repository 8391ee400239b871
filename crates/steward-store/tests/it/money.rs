//! The ledger and the figures over it.

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, KeyId, RequestId, SessionId, TurnId};
use steward_domain::money::Usd;
use steward_domain::principal::{Principal, Role};
use steward_domain::usage::{Usage, UsageSource};
use steward_store::keys::{self, KeyRow};
use steward_store::ledger::{self, LedgerRow, LedgerState, Reservation, Settlement};
use steward_store::spend::{self, SpendBy, SpendScope, Spent};
use steward_store::{Store, StoreError};

use crate::database::{Database, at, on_both};

on_both![
    a_call_is_reserved_and_settled_once,
    reservations_without_an_end_are_found,
    a_report_adds_up_by_every_owner,
    spending_is_summed_by_scope_and_exact_beyond_one_column,
    the_ledger_is_listed_page_by_page,
];

fn reservation(team: &str, when: Timestamp) -> Reservation {
    Reservation {
        request: RequestId::generate(),
        at: when,
        principal: Principal::User("ana".to_owned()),
        user: Some("ana".to_owned()),
        team: Some(team.to_owned()),
        agent: Some(AgentName::from("main")),
        session: Some(SessionId::from("ses_1")),
        turn: Some(TurnId::from("turn_1")),
        step: Some(2),
        key: Some(KeyId::from("key_1")),
        route: "default".to_owned(),
        target: "anthropic/claude-sonnet-4-5".to_owned(),
        price_version: "2026-01".to_owned(),
        reserved: Usd::from_pico(9_000_000_000),
    }
}

fn settlement(pico: i128) -> Settlement {
    Settlement {
        target: "openai/gpt-5".to_owned(),
        usage: Usage {
            input: 100,
            cached_input: 20,
            output: 7,
            reasoning: 3,
            ..Usage::default()
        },
        cost: Usd::from_pico(pico),
        price_version: "2026-02".to_owned(),
        source: UsageSource::Estimated,
        status: "ok".to_owned(),
        first_token_ms: Some(321),
        total_ms: 4_000,
    }
}

async fn reserve(store: &Store, row: &Reservation) {
    let row = row.clone();
    store.write(move |tx| ledger::reserve(tx, &row)).await.unwrap();
}

async fn settle(store: &Store, request: &RequestId, end: Settlement) -> Result<bool, StoreError> {
    let request = request.clone();
    store.write(move |tx| ledger::settle(tx, &request, &end)).await
}

async fn a_call_is_reserved_and_settled_once(database: Database) {
    let store = database.open();
    let row = reservation("support", at(5));
    reserve(&store, &row).await;
    let twice = row.clone();
    let outcome = store.write(move |tx| ledger::reserve(tx, &twice)).await;
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
    let request = row.request.clone();
    assert!(
        store
            .write(move |tx| ledger::set_reserved(tx, &request, Usd::from_pico(5)))
            .await
            .unwrap()
    );
    assert!(settle(&store, &row.request, settlement(412)).await.unwrap());
    assert!(!settle(&store, &row.request, settlement(999)).await.unwrap());
    let missing = settle(&store, &RequestId::from("req_none"), settlement(1)).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    let request = row.request.clone();
    let read = store.read(move |tx| ledger::get(tx, &request)).await.unwrap().unwrap();
    let wanted = LedgerRow {
        reservation: Reservation {
            target: "openai/gpt-5".to_owned(),
            price_version: "2026-02".to_owned(),
            reserved: Usd::from_pico(5),
            ..row
        },
        settlement: settlement(412),
        state: LedgerState::Settled,
    };
    assert_eq!(read, wanted);
    let of_turn = store.read(|tx| ledger::of_turn(tx, &TurnId::from("turn_1"))).await.unwrap();
    assert_eq!(of_turn, [wanted]);
}

async fn reservations_without_an_end_are_found(database: Database) {
    let store = database.open();
    let (ended, orphan) = (reservation("a", at(5)), reservation("a", at(6)));
    reserve(&store, &ended).await;
    reserve(&store, &orphan).await;
    settle(&store, &ended.request, settlement(1)).await.unwrap();
    let orphans = store.read(ledger::orphans).await.unwrap();
    let orphans: Vec<_> = orphans.into_iter().map(|row| row.reservation).collect();
    assert_eq!(orphans, [orphan]);
}

async fn a_report_adds_up_by_every_owner(database: Database) {
    let store = database.open();
    let key = KeyRow {
        id: KeyId::from("key_1"),
        name: "ci".to_owned(),
        hash: "h".to_owned(),
        prefix: "sk-steward-ab".to_owned(),
        role: Role::Member,
        user: None,
        team: None,
        agent: None,
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    };
    store.write(move |tx| keys::insert(tx, &key)).await.unwrap();
    for (team, when, pico) in [("a", at(0), 1_000_001), ("b", at(10), 5_000_000), ("a", at(86_400), 2)] {
        let row = reservation(team, when);
        reserve(&store, &row).await;
        settle(&store, &row.request, settlement(pico)).await.unwrap();
    }
    reserve(&store, &reservation("a", at(11))).await;
    for (by, wanted) in [
        (SpendBy::Team, vec![("b", 5_000_000), ("a", 1_000_003)]),
        (SpendBy::User, vec![("ana", 6_000_003)]),
        (SpendBy::Agent, vec![("main", 6_000_003)]),
        (SpendBy::Key, vec![("ci", 6_000_003)]),
        (SpendBy::Model, vec![("openai/gpt-5", 6_000_003)]),
        (SpendBy::Route, vec![("default", 6_000_003)]),
        (SpendBy::Session, vec![("ses_1", 6_000_003)]),
        (SpendBy::Day, vec![("2026-01-01", 6_000_001), ("2026-01-02", 2)]),
    ] {
        let report = store.read(move |tx| spend::report(tx, by, at(0))).await.unwrap();
        let rows: Vec<_> = report.rows.iter().map(|row| (row.name.as_str(), row.totals.cost.pico())).collect();
        assert_eq!(rows, wanted, "{by:?}");
        assert_eq!(report.totals.cost.pico(), 6_000_003, "{by:?}");
        assert_eq!((report.totals.calls, report.totals.estimated_calls), (3, 3), "{by:?}");
        assert_eq!((report.totals.input_tokens, report.totals.output_tokens), (360, 30), "{by:?}");
        assert_eq!(
            report.rows[0].id.as_ref().map(KeyId::as_str),
            (by == SpendBy::Key).then_some("key_1")
        );
    }
    let later = store.read(|tx| spend::report(tx, SpendBy::Team, at(86_400))).await.unwrap();
    assert_eq!(later.totals.cost.pico(), 2);
    let never = store.read(|tx| spend::report(tx, SpendBy::Team, at(90_000))).await.unwrap();
    assert_eq!((never.totals.calls, never.rows.len()), (0, 0));
}

async fn spending_is_summed_by_scope_and_exact_beyond_one_column(database: Database) {
    let store = database.open();
    let large = i128::from(i64::MAX);
    for team in ["a", "a", "b"] {
        let row = reservation(team, at(5));
        reserve(&store, &row).await;
        settle(&store, &row.request, settlement(large)).await.unwrap();
    }
    reserve(&store, &reservation("a", at(6))).await;
    let reserved = Usd::from_pico(9_000_000_000);
    for (scope, settled, reserved) in [
        (SpendScope::Global, 3 * large, reserved),
        (SpendScope::Team("a".to_owned()), 2 * large, reserved),
        (SpendScope::Team("b".to_owned()), large, Usd::ZERO),
        (SpendScope::User("ana".to_owned()), 3 * large, reserved),
        (SpendScope::User("ben".to_owned()), 0, Usd::ZERO),
        (SpendScope::Agent(AgentName::from("main")), 3 * large, reserved),
        (SpendScope::Key(KeyId::from("key_1")), 3 * large, reserved),
        (SpendScope::Route("default".to_owned()), 3 * large, reserved),
        (SpendScope::Session(SessionId::from("ses_1")), 3 * large, reserved),
        (SpendScope::Turn(TurnId::from("turn_1")), 3 * large, reserved),
    ] {
        let asked = scope.clone();
        let spent = store.read(move |tx| spend::spent_since(tx, &asked, at(5))).await.unwrap();
        let wanted = Spent {
            settled: Usd::from_pico(settled),
            reserved,
        };
        assert_eq!(spent, wanted, "{scope:?}");
    }
    let later = store.read(|tx| spend::spent_since(tx, &SpendScope::Global, at(6))).await.unwrap();
    assert_eq!(later.settled, Usd::ZERO);
}

async fn the_ledger_is_listed_page_by_page(database: Database) {
    let store = database.open();
    let rows: Vec<_> = (0..5).map(|number| reservation("a", at(number / 2))).collect();
    for row in &rows {
        reserve(&store, row).await;
    }
    let mut listed = Vec::new();
    loop {
        let after = listed.last().map(|row: &Reservation| (row.at, row.request.clone()));
        let page = store
            .read(move |tx| ledger::list(tx, at(0), after.as_ref().map(|(at, request)| (*at, request)), 2))
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|row| row.reservation));
    }
    assert_eq!(listed, rows);
}
