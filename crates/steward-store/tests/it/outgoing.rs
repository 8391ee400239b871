//! The outbox: once by key, in order by thread, and never forgotten in flight.

use steward_domain::channel::Receipt;
use steward_domain::id::{ChannelName, OutboxId, SessionId};
use steward_store::Store;
use steward_store::outbox::{self, Enqueued, NewOutbox, OutboxRow, OutboxState};

use crate::database::{Database, at, on_both};
use crate::rows::session;

on_both![
    the_same_key_twice_is_one_message,
    a_message_goes_from_pending_to_its_receipt,
    a_thread_keeps_its_order_and_does_not_hold_up_others,
    a_message_whose_receipt_a_crash_hid_is_sent_again_as_a_possible_repeat,
    a_message_can_be_given_up,
];

fn reply(session: &SessionId, thread: &str, key: &str) -> NewOutbox {
    NewOutbox {
        id: OutboxId::generate(),
        session: session.clone(),
        turn: None,
        channel: ChannelName::from("telegram"),
        thread: thread.to_owned(),
        text: "hallo".to_owned(),
        idempotency_key: key.to_owned(),
        created_at: at(10),
    }
}

async fn enqueue(store: &Store, message: &NewOutbox) -> Enqueued {
    let message = message.clone();
    store.write(move |tx| outbox::enqueue(tx, &message)).await.unwrap()
}

async fn due(store: &Store, seconds: i64) -> Vec<OutboxId> {
    let rows = store.read(move |tx| outbox::due(tx, at(seconds), 10)).await.unwrap();
    rows.into_iter().map(|row| row.message.id).collect()
}

async fn get(store: &Store, id: &OutboxId) -> OutboxRow {
    let id = id.clone();
    store.read(move |tx| outbox::get(tx, &id)).await.unwrap().unwrap()
}

async fn begin(store: &Store, id: &OutboxId) -> bool {
    let id = id.clone();
    store.write(move |tx| outbox::begin_send(tx, &id)).await.unwrap()
}

async fn the_same_key_twice_is_one_message(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let first = reply(&session.id, "t", "turn 1");
    let again = reply(&session.id, "t", "turn 1");
    let one = enqueue(&store, &first).await;
    let two = enqueue(&store, &again).await;
    assert_eq!((&one.id, one.is_new), (&first.id, true));
    assert_eq!((&two.id, two.is_new), (&first.id, false));
    assert_eq!(due(&store, 10).await, [first.id]);
}

async fn a_message_goes_from_pending_to_its_receipt(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let message = reply(&session.id, "t", "k");
    enqueue(&store, &message).await;
    assert_eq!(due(&store, 9).await, []);
    assert!(begin(&store, &message.id).await);
    assert!(!begin(&store, &message.id).await);
    let id = message.id.clone();
    store.write(move |tx| outbox::retry_at(tx, &id, at(30), "busy")).await.unwrap();
    assert_eq!(due(&store, 29).await, []);
    assert_eq!(store.read(outbox::next_due_at).await.unwrap(), Some(at(30)));
    assert_eq!(get(&store, &message.id).await.last_error.as_deref(), Some("busy"));
    assert!(begin(&store, &message.id).await);
    let receipt = Receipt {
        external_id: "4711".to_owned(),
    };
    let (id, kept) = (message.id.clone(), receipt.clone());
    store.write(move |tx| outbox::sent(tx, &id, &kept, at(31))).await.unwrap();
    let wanted = OutboxRow {
        message: message.clone(),
        state: OutboxState::Sent,
        attempts: 2,
        is_possible_repeat: false,
        next_at: at(30),
        last_error: None,
        receipt: Some(receipt),
        sent_at: Some(at(31)),
    };
    assert_eq!(get(&store, &message.id).await, wanted);
    assert_eq!(store.read(outbox::next_due_at).await.unwrap(), None);
    let of_session = store.read(move |tx| outbox::of_session(tx, &session.id, 10)).await.unwrap();
    assert_eq!(of_session, [wanted]);
    // A receipt is final.
    let late = store.write(move |tx| outbox::failed(tx, &message.id, "no")).await;
    assert!(late.is_err());
}

async fn a_thread_keeps_its_order_and_does_not_hold_up_others(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let (first, second, other) = (
        reply(&session.id, "t", "1"),
        reply(&session.id, "t", "2"),
        reply(&session.id, "u", "3"),
    );
    for message in [&first, &second, &other] {
        enqueue(&store, message).await;
    }
    assert_eq!(due(&store, 10).await, [first.id.clone(), other.id.clone()]);
    begin(&store, &first.id).await;
    assert_eq!(due(&store, 10).await, std::slice::from_ref(&other.id));
    let receipt = Receipt {
        external_id: "1".to_owned(),
    };
    store.write(move |tx| outbox::sent(tx, &first.id, &receipt, at(11))).await.unwrap();
    assert_eq!(due(&store, 10).await, [second.id, other.id]);
}

async fn a_message_whose_receipt_a_crash_hid_is_sent_again_as_a_possible_repeat(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let message = reply(&session.id, "t", "k");
    enqueue(&store, &message).await;
    begin(&store, &message.id).await;
    drop(store);
    let store = database.open();
    assert_eq!(due(&store, 1000).await, []);
    let in_flight = store.read(outbox::in_flight).await.unwrap();
    assert_eq!(in_flight.len(), 1);
    let id = message.id.clone();
    store.write(move |tx| outbox::resend_as_repeat(tx, &id, at(40))).await.unwrap();
    assert_eq!(due(&store, 40).await, std::slice::from_ref(&message.id));
    assert!(get(&store, &message.id).await.is_possible_repeat);
}

async fn a_message_can_be_given_up(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let (refused, lost) = (reply(&session.id, "t", "1"), reply(&session.id, "t", "2"));
    enqueue(&store, &refused).await;
    enqueue(&store, &lost).await;
    let (one, two) = (refused.id.clone(), lost.id.clone());
    store
        .write(move |tx| {
            outbox::failed(tx, &one, "too long")?;
            outbox::unknown(tx, &two, "nobody knows")
        })
        .await
        .unwrap();
    assert_eq!(due(&store, 1000).await, []);
    assert_eq!(get(&store, &refused.id).await.state, OutboxState::Failed);
    assert_eq!(get(&store, &lost.id).await.state, OutboxState::Unknown);
}
