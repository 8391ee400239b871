//! Sessions, inbox, turns, journal, blobs and checkpoints: what is written is read back, whole.

use serde_json::json;
use steward_domain::id::{AgentName, BlobId, CallId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::money::Usd;
use steward_domain::principal::{Principal, Surface};
use steward_store::blobs::{self, NewBlob};
use steward_store::checkpoints::{self, CheckpointRow};
use steward_store::inbox::{self, Accepted, InboxState};
use steward_store::turns::{self, StepTotals, TurnFilter};
use steward_store::{StoreError, journal, sessions};

use crate::database::{Database, at, on_both};
use crate::rows::{message, name, noted, session, turn};

on_both![
    a_session_is_found_by_its_name_and_keeps_what_is_set,
    a_reset_thread_frees_its_name,
    a_message_is_accepted_once,
    a_turn_takes_what_waits_and_a_full_queue_drops_the_oldest,
    a_turn_goes_from_running_to_its_one_end,
    turns_are_listed_newest_first_page_by_page,
    the_journal_gives_events_by_turn_by_session_and_by_cursor,
    the_journal_is_searched_by_what_events_say,
    the_same_content_is_one_blob_and_is_read_by_range,
    checkpoints_come_back_in_the_order_of_the_changes,
];

async fn a_session_is_found_by_its_name_and_keeps_what_is_set(database: Database) {
    let store = database.open();
    let made = session(&store, "a").await;
    assert_eq!(session(&store, "a").await, made);
    let id = made.id.clone();
    let read = store
        .write(move |tx| {
            sessions::set_model(tx, &id, Some("openai/gpt-5"))?;
            sessions::set_mode(tx, &id, Some("collect"))?;
            sessions::set_state(tx, &id, &json!({"draft": 3}))?;
            sessions::touch(tx, &id, at(60))?;
            sessions::get(tx, &id)
        })
        .await
        .unwrap()
        .unwrap();
    let wanted = sessions::SessionRow {
        model: Some("openai/gpt-5".to_owned()),
        mode: Some("collect".to_owned()),
        state: json!({"draft": 3}),
        last_at: at(60),
        ..made
    };
    assert_eq!(read, wanted);
    let missing = store.write(|tx| sessions::touch(tx, &"ses_none".into(), at(1))).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    let cleared = store
        .write(move |tx| {
            sessions::set_model(tx, &read.id, None)?;
            sessions::get(tx, &read.id)
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cleared.model, None);
}

async fn a_reset_thread_frees_its_name(database: Database) {
    let store = database.open();
    let old = session(&store, "a").await;
    let id = old.id.clone();
    store.write(move |tx| sessions::reset_thread(tx, &id)).await.unwrap();
    let new = session(&store, "a").await;
    assert_ne!(new.id, old.id);
    let kept = store.read(move |tx| sessions::get(tx, &old.id)).await.unwrap().unwrap();
    assert_eq!(kept.thread, format!("a#{}", kept.id));
    let found = store
        .read(|tx| {
            let name = name("a");
            sessions::find(tx, &name.agent, &name.channel, &name.thread)
        })
        .await
        .unwrap();
    assert_eq!(found, Some(new));
}

async fn a_message_is_accepted_once(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    let first = message(&session.id, "update 7");
    let row = first.clone();
    assert_eq!(store.write(move |tx| inbox::accept(tx, &row)).await.unwrap(), Accepted::New);
    let again = message(&session.id, "update 7");
    let row = again.clone();
    let accepted = store.write(move |tx| inbox::accept(tx, &row)).await.unwrap();
    let wanted = Accepted::Duplicate {
        inbound: first.id.clone(),
        turn: None,
    };
    assert_eq!(accepted, wanted);
    let (id, turn_id) = (first.id.clone(), turn.id.clone());
    store.write(move |tx| inbox::take(tx, &[id], &turn_id)).await.unwrap();
    let accepted = store.write(move |tx| inbox::accept(tx, &again)).await.unwrap();
    let wanted = Accepted::Duplicate {
        inbound: first.id.clone(),
        turn: Some(turn.id.clone()),
    };
    assert_eq!(accepted, wanted);
    let (id, turn_id) = (first.id.clone(), turn.id.clone());
    let twice = store.write(move |tx| inbox::take(tx, &[id], &turn_id)).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
    let read = store.read(move |tx| inbox::of_turn(tx, &turn.id)).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].parts, first.parts);
    assert_eq!(read[0].state, InboxState::Taken);
}

async fn a_turn_takes_what_waits_and_a_full_queue_drops_the_oldest(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let rows: Vec<_> = (0..5).map(|number| message(&session.id, &number.to_string())).collect();
    let stored = rows.clone();
    store
        .write(move |tx| stored.iter().try_for_each(|row| inbox::accept(tx, row).map(|_| ())))
        .await
        .unwrap();
    let id = session.id.clone();
    let waiting = store.read(move |tx| inbox::waiting(tx, &id)).await.unwrap();
    assert_eq!(waiting, rows);
    let sessions = store.read(inbox::sessions_with_waiting).await.unwrap();
    assert_eq!(sessions, std::slice::from_ref(&session.id));
    let id = session.id.clone();
    let dropped = store.write(move |tx| inbox::drop_oldest(tx, &id, 3)).await.unwrap();
    let dropped: Vec<_> = dropped.into_iter().map(|row| (row.id, row.state)).collect();
    let wanted = [(rows[0].id.clone(), InboxState::Dropped), (rows[1].id.clone(), InboxState::Dropped)];
    assert_eq!(dropped, wanted);
    let turn = turn(&store, &session.id).await;
    let ids: Vec<_> = rows[2..].iter().map(|row| row.id.clone()).collect();
    store.write(move |tx| inbox::take(tx, &ids, &turn.id)).await.unwrap();
    assert_eq!(store.read(inbox::sessions_with_waiting).await.unwrap(), []);
    let id = rows[0].id.clone();
    let read = store.read(move |tx| inbox::get(tx, &id)).await.unwrap().unwrap();
    assert_eq!(read.state, InboxState::Dropped);
}

async fn a_turn_goes_from_running_to_its_one_end(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let made = turn(&store, &session.id).await;
    let (id, session_id) = (made.id.clone(), session.id.clone());
    let open = store
        .write(move |tx| {
            turns::update_status(tx, &id, TurnStatus::Waiting)?;
            let totals = StepTotals {
                cost: Usd::from_pico(412_000_000),
                input_tokens: 900,
                output_tokens: 31,
            };
            turns::add_step(tx, &id, totals)?;
            turns::add_step(tx, &id, totals)?;
            turns::open_of_session(tx, &session_id)
        })
        .await
        .unwrap()
        .unwrap();
    let wanted = turns::TurnRow {
        status: TurnStatus::Waiting,
        steps: 2,
        cost: Usd::from_pico(824_000_000),
        input_tokens: 1800,
        output_tokens: 62,
        ..made.clone()
    };
    assert_eq!(open, wanted);
    assert_eq!(store.read(turns::unfinished).await.unwrap(), std::slice::from_ref(&wanted));
    let id = made.id.clone();
    store
        .write(move |tx| turns::finish(tx, &id, TurnStatus::Done, "fertig\0", at(70)))
        .await
        .unwrap();
    let id = made.id.clone();
    let read = store.read(move |tx| turns::get(tx, &id)).await.unwrap().unwrap();
    // A NUL has no place in a text of PostgreSQL, so neither database keeps it.
    let ended = turns::TurnRow {
        status: TurnStatus::Done,
        text: "fertig\u{fffd}".to_owned(),
        ended_at: Some(at(70)),
        ..wanted
    };
    assert_eq!(read, ended);
    let again = store
        .write(move |tx| turns::finish(tx, &made.id, TurnStatus::Failed, "no", at(71)))
        .await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    assert_eq!(store.read(move |tx| turns::open_of_session(tx, &session.id)).await.unwrap(), None);
}

async fn turns_are_listed_newest_first_page_by_page(database: Database) {
    let store = database.open();
    let one = session(&store, "a").await;
    let two = session(&store, "b").await;
    let mut ids = Vec::new();
    for number in 0..6 {
        let session = if number % 2 == 0 { &one.id } else { &two.id };
        ids.push(turn(&store, session).await.id);
    }
    let list = |filter: TurnFilter, before: Option<TurnId>, limit| {
        let store = store.clone();
        async move {
            let rows = store
                .read(move |tx| turns::list(tx, &filter, before.as_ref(), limit))
                .await
                .unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        }
    };
    ids.reverse();
    assert_eq!(list(TurnFilter::default(), None, 4).await, ids[..4]);
    assert_eq!(list(TurnFilter::default(), Some(ids[3].clone()), 4).await, ids[4..]);
    let of_one = TurnFilter {
        session: Some(one.id.clone()),
        agent: Some(AgentName::from("main")),
        status: Some(TurnStatus::Running),
        principal: Some(Principal::User("ana".to_owned())),
    };
    assert_eq!(list(of_one, None, 10).await, [ids[1].clone(), ids[3].clone(), ids[5].clone()]);
    let of_nobody = TurnFilter {
        principal: Some(Principal::System),
        ..TurnFilter::default()
    };
    assert_eq!(list(of_nobody, None, 10).await, []);
}

async fn the_journal_gives_events_by_turn_by_session_and_by_cursor(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let first = turn(&store, &session.id).await;
    let second = turn(&store, &session.id).await;
    let finished = JournalEvent::TurnFinished {
        end: TurnStatus::Done,
        text: "ok".to_owned(),
        outbox: None,
    };
    let events = [
        (first.id.clone(), noted("one")),
        (first.id.clone(), finished),
        (second.id.clone(), noted("three")),
    ];
    let mut seqs = Vec::new();
    for (turn, event) in events.clone() {
        let session = session.id.clone();
        seqs.push(
            store
                .write(move |tx| journal::append(tx, &turn, &session, at(8), &event))
                .await
                .unwrap(),
        );
    }
    assert!(seqs.is_sorted());
    let id = first.id.clone();
    let rows = store.read(move |tx| journal::of_turn(tx, &id)).await.unwrap();
    let read: Vec<_> = rows.into_iter().map(|row| (row.turn, row.event)).collect();
    assert_eq!(read, events[..2]);
    let (id, before) = (session.id.clone(), seqs[2]);
    let rows = store.read(move |tx| journal::of_session(tx, &id, Some(before), 10)).await.unwrap();
    let read: Vec<_> = rows.into_iter().map(|row| row.seq).collect();
    assert_eq!(read, [seqs[1], seqs[0]]);
    let id = session.id.clone();
    let newest = store.read(move |tx| journal::of_session(tx, &id, None, 1)).await.unwrap();
    assert_eq!(newest[0].seq, seqs[2]);
    let cursor = seqs[1];
    let stream = store.read(move |tx| journal::after(tx, cursor, 10)).await.unwrap();
    assert_eq!(stream.len(), 1);
    assert_eq!(stream[0].entry.event, noted("three"));
    assert_eq!(stream[0].agent.as_str(), "main");
    assert_eq!(stream[0].thread, "a");
    assert_eq!(stream[0].principal, Principal::User("ana".to_owned()));
    assert_eq!(stream[0].surface, Surface::Console);
}

async fn the_journal_is_searched_by_what_events_say(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    for text in ["The Invoice of May", "50% off_now!", "she said \"yes\"\nand left"] {
        let (turn, session) = (turn.id.clone(), session.id.clone());
        store
            .write(move |tx| journal::append(tx, &turn, &session, at(8), &noted(text)))
            .await
            .unwrap();
    }
    for (looked_for, hits) in [
        ("invoice", 1),
        ("50% off_", 1),
        ("50_ off", 0),
        ("now!", 1),
        ("\"yes\"\nand", 1),
        ("nothing", 0),
    ] {
        let rows = store
            .read(move |tx| journal::search_text(tx, &AgentName::from("main"), looked_for, 10))
            .await
            .unwrap();
        assert_eq!(rows.len(), hits, "{looked_for:?}");
    }
    let of_other = store
        .read(|tx| journal::search_text(tx, &AgentName::from("other"), "invoice", 10))
        .await
        .unwrap();
    assert_eq!(of_other, []);
}

async fn the_same_content_is_one_blob_and_is_read_by_range(database: Database) {
    let store = database.open();
    let data: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let blob = NewBlob::new(data.clone(), "application/octet-stream", at(4));
    let same = NewBlob::new(data.clone(), "text/plain", at(5));
    let (id, again) = store
        .write(move |tx| Ok((blobs::insert(tx, &blob)?, blobs::insert(tx, &same)?)))
        .await
        .unwrap();
    assert_eq!(id, again);
    for (from, length, wanted) in [
        (0, 100_000, &data[..]),
        (256, 3, &[0, 1, 2]),
        (99_999, 10, &data[99_999..]),
        (100_000, 10, &[]),
        (0, usize::MAX, &data[..]),
        (usize::MAX, 1, &[]),
    ] {
        let id = id.clone();
        let read = store.read(move |tx| blobs::get(tx, &id, from, length)).await.unwrap().unwrap();
        assert!(read == wanted, "{from} {length}");
    }
    let info = store.read(move |tx| blobs::info(tx, &id)).await.unwrap().unwrap();
    assert_eq!((info.size_bytes, info.media_type.as_str()), (100_000, "application/octet-stream"));
    assert_eq!(info.sha256, blobs::sha256_hex(&data));
    let missing = store.read(|tx| blobs::get(tx, &BlobId::from("blob_none"), 0, 1)).await.unwrap();
    assert_eq!(missing, None);
}

async fn checkpoints_come_back_in_the_order_of_the_changes(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    let blob = NewBlob::new(b"before".to_vec(), "text/plain", at(4));
    let before = store.write(move |tx| blobs::insert(tx, &blob)).await.unwrap();
    let row = |path: &str, before: Option<BlobId>| CheckpointRow {
        turn: turn.id.clone(),
        call: CallId::from("call_1"),
        agent: AgentName::from("main"),
        path: path.to_owned(),
        before_existed: before.is_some(),
        before,
        after_sha256: "ab".repeat(32),
        at: at(6),
    };
    let rows = vec![row("z.md", Some(before)), row("a.md", None)];
    let stored = rows.clone();
    store
        .write(move |tx| stored.iter().try_for_each(|row| checkpoints::insert(tx, row)))
        .await
        .unwrap();
    let read = store.read(move |tx| checkpoints::of_turn(tx, &turn.id)).await.unwrap();
    assert_eq!(read, rows);
}
