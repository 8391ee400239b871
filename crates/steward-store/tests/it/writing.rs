//! What the writer promises: groups, order, isolation, and that nothing is acknowledged that is not stored.

use steward_store::inbox::{self, Accepted};
use steward_store::{Store, StoreError, journal, sessions};

use crate::database::{Database, at, on_both};
use crate::rows::{message, name, noted, session, turn};

on_both![
    a_thousand_concurrent_writes_share_commits,
    a_job_that_fails_takes_only_itself_with_it,
    a_job_that_swallows_a_refused_statement_fails_all_the_same,
    a_panic_in_a_job_is_its_error_and_the_writer_goes_on,
    a_panic_in_a_read_is_its_error_and_the_reader_goes_on,
    writes_of_both_kinds_keep_their_order,
    an_unawaited_write_that_fails_is_told_to_the_next_awaited_one,
    subscribers_learn_the_highest_committed_seq,
    seq_order_is_commit_order_with_many_writers,
    a_read_cannot_write,
    jobs_in_the_queue_are_done_before_the_store_is_gone,
    an_unsynced_write_is_seen_at_once_and_kept,
];

async fn an_unsynced_write_is_seen_at_once_and_kept(database: Database) {
    let store = database.open();
    let wanted = name("in passing");
    let made = store
        .write_unsynced(move |tx| sessions::find_or_create(tx, &wanted, at(1)))
        .await
        .unwrap();
    let id = made.id.clone();
    assert_eq!(store.read(move |tx| sessions::get(tx, &id)).await.unwrap(), Some(made.clone()));
    session(&store, "durable").await;
    drop(store);
    let id = made.id.clone();
    assert_eq!(database.open().read(move |tx| sessions::get(tx, &id)).await.unwrap(), Some(made));
}

async fn a_thousand_concurrent_writes_share_commits(database: Database) {
    let store = database.open();
    let before = store.commit_count();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let store = store.clone();
        tasks.spawn(async move {
            let name = name(&format!("thread {number}"));
            store.write(move |tx| sessions::find_or_create(tx, &name, at(1))).await.unwrap()
        });
    }
    assert_eq!(tasks.join_all().await.len(), 1000);
    let commits = store.commit_count() - before;
    assert!(commits < 1000, "{commits} commits for 1000 writes");
    let stored = store.read(|tx| sessions::list(tx, 2000)).await.unwrap();
    assert_eq!(stored.len(), 1000);
}

async fn a_job_that_fails_takes_only_itself_with_it(database: Database) {
    let store = database.open();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        tasks.spawn(async move {
            let name = name(&format!("thread {number}"));
            let outcome = store
                .write(move |tx| {
                    sessions::find_or_create(tx, &name, at(1))?;
                    if number % 10 == 3 {
                        return Err(StoreError::conflict("this one does not want to"));
                    }
                    Ok(())
                })
                .await;
            (number, outcome)
        });
    }
    for (number, outcome) in tasks.join_all().await {
        match outcome {
            Ok(()) => assert_ne!(number % 10, 3),
            Err(error) => {
                assert_eq!(number % 10, 3);
                assert_eq!(error.to_string(), "this one does not want to");
            }
        }
    }
    assert_eq!(store.read(|tx| sessions::list(tx, 200)).await.unwrap().len(), 90);
}

async fn a_job_that_swallows_a_refused_statement_fails_all_the_same(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let orphan = crate::rows::turn_row(&"ses_missing".into());
    let outcome = store
        .write(move |tx| {
            let _ = steward_store::turns::insert(tx, &orphan);
            sessions::touch(tx, &session.id, at(99)).ok();
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
    let stored = store.read(|tx| sessions::list(tx, 1)).await.unwrap();
    assert_eq!(stored[0].last_at, at(1));
}

async fn a_panic_in_a_job_is_its_error_and_the_writer_goes_on(database: Database) {
    let store = database.open();
    let wanted = name("half written");
    let outcome: Result<(), StoreError> = store
        .write(move |tx| {
            sessions::find_or_create(tx, &wanted, at(1))?;
            panic!("out of cheese");
        })
        .await;
    let error = outcome.unwrap_err();
    assert_eq!(error.to_string(), "a job of the store panicked: out of cheese");
    session(&store, "after").await;
    let stored = store.read(|tx| sessions::list(tx, 10)).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].thread, "after");
}

async fn a_panic_in_a_read_is_its_error_and_the_reader_goes_on(database: Database) {
    let store = database.open();
    for _ in 0..5 {
        let outcome: Result<(), StoreError> = store.read(|_| panic!("out of cheese")).await;
        assert!(matches!(outcome, Err(StoreError::Broken { .. })));
    }
    assert_eq!(store.read(|tx| sessions::list(tx, 10)).await.unwrap(), []);
}

async fn writes_of_both_kinds_keep_their_order(database: Database) {
    let store = database.open();
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    for number in 0..200 {
        let (turn, session) = (turn.id.clone(), session.id.clone());
        let job = move |tx: &mut steward_store::Tx<'_>| {
            journal::append(tx, &turn, &session, at(5), &noted(&number.to_string()))?;
            Ok(())
        };
        if number % 50 == 49 {
            store.write(job).await.unwrap();
        } else {
            store.write_later(job);
        }
    }
    let id = turn.id.clone();
    let rows = store.read(move |tx| journal::of_turn(tx, &id)).await.unwrap();
    let events: Vec<_> = rows.into_iter().map(|row| row.event).collect();
    let wanted: Vec<_> = (0..200).map(|number: i32| noted(&number.to_string())).collect();
    assert_eq!(events, wanted);
}

async fn an_unawaited_write_that_fails_is_told_to_the_next_awaited_one(database: Database) {
    let store = database.open();
    store.write_later(|_| Err(StoreError::conflict("the early bird")));
    let name_of_next = name("next");
    let next = store.write(move |tx| sessions::find_or_create(tx, &name_of_next, at(1))).await;
    assert_eq!(next.unwrap_err().to_string(), "the early bird");
    // Told once; the refused job did not run.
    assert_eq!(store.read(|tx| sessions::list(tx, 10)).await.unwrap(), []);
    session(&store, "next").await;
}

async fn subscribers_learn_the_highest_committed_seq(database: Database) {
    let store = database.open();
    let mut committed = store.committed();
    assert_eq!(*committed.borrow_and_update(), 0);
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    assert!(!committed.has_changed().unwrap());
    let (turn_id, session_id) = (turn.id.clone(), session.id.clone());
    let seq = store
        .write(move |tx| journal::append(tx, &turn_id, &session_id, at(5), &noted("one")))
        .await
        .unwrap();
    committed.changed().await.unwrap();
    assert_eq!(*committed.borrow(), seq);
    let failed: Result<(), StoreError> = store
        .write(move |tx| {
            journal::append(tx, &turn.id, &session.id, at(5), &noted("two"))?;
            Err(StoreError::conflict("no"))
        })
        .await;
    assert!(failed.is_err());
    assert_eq!(*committed.borrow(), seq);
    drop(store);
    assert_eq!(*database.open().committed().borrow(), seq);
}

/// Reads along while tasks append, as a live subscriber does: a seq at or below one already seen must never appear later.
async fn seq_order_is_commit_order_with_many_writers(database: Database) {
    const WRITERS: usize = 8;
    const EACH: usize = 25;
    let store = database.open();
    // PostgreSQL may serve several processes; a second store stands for one. SQLite has one owner.
    let other = if database.is_sqlite() { store.clone() } else { database.open() };
    let session = session(&store, "a").await;
    let turn = turn(&store, &session.id).await;
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = if writer % 2 == 0 { store.clone() } else { other.clone() };
        let (turn, session) = (turn.id.clone(), session.id.clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                let (turn, session) = (turn.clone(), session.clone());
                store
                    .write(move |tx| journal::append(tx, &turn, &session, at(5), &noted("x")))
                    .await
                    .unwrap();
            }
        });
    }
    let mut cursor = 0;
    let mut seen = 0;
    while seen < WRITERS * EACH {
        let page = store.read(move |tx| journal::after(tx, cursor, 7)).await.unwrap();
        seen += page.len();
        cursor = page.last().map_or(cursor, |row| row.entry.seq);
        let is_over = tasks.is_empty() && page.is_empty();
        assert!(!is_over, "the subscriber missed {} events", WRITERS * EACH - seen);
        while tasks.try_join_next().is_some() {}
    }
}

async fn a_read_cannot_write(database: Database) {
    let store = database.open();
    let wanted = name("a");
    let outcome = store.read(move |tx| sessions::find_or_create(tx, &wanted, at(1))).await;
    assert!(outcome.is_err());
    assert_eq!(store.read(|tx| sessions::list(tx, 10)).await.unwrap(), []);
}

async fn jobs_in_the_queue_are_done_before_the_store_is_gone(database: Database) {
    let store: Store = database.open();
    let session = session(&store, "a").await;
    for number in 0..500 {
        let row = message(&session.id, &number.to_string());
        store.write_later(move |tx| inbox::accept(tx, &row).map(|accepted| assert_eq!(accepted, Accepted::New)));
    }
    drop(store);
    let store = database.open();
    let waiting = store.read(move |tx| inbox::waiting(tx, &session.id)).await.unwrap();
    assert_eq!(waiting.len(), 500);
}
