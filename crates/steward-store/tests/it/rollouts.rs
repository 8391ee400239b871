//! Rollouts: the last state of each route and every event come back.

use steward_store::rollouts::{self, RolloutEventRow, RolloutRow};

use crate::database::{Database, at, on_both};

on_both![a_rollouts_last_state_and_all_its_events_come_back];

async fn a_rollouts_last_state_and_all_its_events_come_back(database: Database) {
    let store = database.open();
    let state = |text: &str, second| RolloutRow {
        route: "default".into(),
        state: text.into(),
        at: at(second),
    };
    let event = |action: &str, second| RolloutEventRow {
        route: "default".into(),
        at: at(second),
        action: action.into(),
        who: "user:ana".into(),
        why: "it's time".into(),
        share_before: "0.01".into(),
        share_after: "0.05".into(),
    };
    let (first, last) = (state("{}", 1), state("{\"share\":0.05}", 2));
    let (shift, hold) = (event("route.shift", 1), event("route.hold", 2));
    let rows = (first, last.clone(), shift.clone(), hold.clone());
    store
        .write(move |tx| {
            rollouts::save(tx, &rows.0)?;
            rollouts::save(tx, &rows.1)?;
            rollouts::add_event(tx, &rows.2)?;
            rollouts::add_event(tx, &rows.3)
        })
        .await
        .unwrap();
    assert_eq!(store.read(rollouts::list).await.unwrap(), [last]);
    let read = store.read(|tx| rollouts::events(tx, "default", 10)).await.unwrap();
    assert_eq!(read, [hold, shift]);
    assert_eq!(store.read(|tx| rollouts::events(tx, "other", 10)).await.unwrap(), []);
}
