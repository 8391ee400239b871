//! What only the inside can provoke: a full disk and a COMMIT that fails, on SQLite.

use std::future::Future;
use std::sync::mpsc;

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, ChannelName};
use steward_domain::principal::Principal;
use tempfile::TempDir;

use super::Store;
use crate::error::StoreError;
use crate::sessions::{self, SessionName};
use crate::tx::Tx;

struct Fixture {
    store: Store,
    _folder: TempDir,
}

fn fixture() -> Fixture {
    let folder = TempDir::new().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("steward.db").display());
    Fixture {
        store: Store::open(&url, Timestamp::UNIX_EPOCH).expect("a new database"),
        _folder: folder,
    }
}

fn add(thread: impl Into<String>) -> impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static {
    let name = SessionName {
        agent: AgentName::from("main"),
        channel: ChannelName::from("web"),
        thread: thread.into(),
        principal: Principal::System,
    };
    move |tx| sessions::find_or_create(tx, &name, Timestamp::UNIX_EPOCH).map(|_| ())
}

/// A job that only COMMIT refuses: the foreign key is looked at last.
fn add_refused_at_commit(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.query("PRAGMA defer_foreign_keys = ON", &[], |_| Ok(()))?;
    tx.execute(
        "INSERT INTO journal (turn_id, session_id, at, kind, event) VALUES ('turn_none', 'ses_none', 0, 'noted', '{}')",
        &[],
    )?;
    Ok(())
}

async fn threads(store: &Store) -> Vec<String> {
    let mut threads: Vec<String> = store
        .read(|tx| sessions::list(tx, 1000))
        .await
        .expect("a read")
        .into_iter()
        .map(|row| row.thread)
        .collect();
    threads.sort();
    threads
}

/// Holds the writer, so that all that `queue` hands in lands in one group.
async fn in_one_group<T>(store: &Store, queue: impl Future<Output = T>) -> T {
    let (started_sender, started) = tokio::sync::oneshot::channel();
    let (release, held) = mpsc::channel::<()>();
    store.write_later(move |_| {
        let _ = started_sender.send(());
        held.recv().map_err(|_| StoreError::broken("the test ended early"))
    });
    started.await.expect("the writer runs");
    let released = async {
        release.send(()).expect("the writer waits");
    };
    // Polled in this order: everything is queued before the writer goes on.
    let (outcome, ()) = tokio::join!(biased; queue, released);
    outcome
}

#[tokio::test]
async fn a_commit_that_fails_fails_every_job_of_its_group_and_no_other() {
    let Fixture { store, _folder } = &fixture();
    let outcome = in_one_group(store, async {
        tokio::join!(biased; store.write(add("a")), store.write(add_refused_at_commit), store.write(add("b")))
    });
    let (first, refused, last) = outcome.await;
    for outcome in [first, refused, last] {
        assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    }
    store.write(add("c")).await.expect("the writer goes on");
    assert_eq!(threads(store).await, ["c"]);
}

#[tokio::test]
async fn an_unawaited_write_lost_with_its_group_is_told_to_the_next_awaited_one() {
    let Fixture { store, _folder } = &fixture();
    in_one_group(store, async {
        store.write_later(add("a"));
        store.write_later(add_refused_at_commit);
    })
    .await;
    // In the same group or in the next one: it must not be acknowledged.
    let next = store.write(add("b")).await;
    assert!(matches!(next, Err(StoreError::Unavailable { .. })), "{next:?}");
    store.write(add("c")).await.expect("told once");
    assert_eq!(threads(store).await, ["c"]);
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_works_again_when_there_is_room() {
    let Fixture { store, _folder } = &fixture();
    store.write(add("before")).await.expect("there is room");
    let limit = |sql: &'static str| store.write(move |tx| tx.query(sql, &[], |_| Ok(())));
    limit("PRAGMA max_page_count = 1")
        .await
        .expect("SQLite takes the size there is as the least");
    let mut refused = None;
    for number in 0..200 {
        let long = format!("{number} {}", "x".repeat(2_000));
        if let Err(error) = store.write(add(long)).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the database is full at last");
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "the disk is full, nothing was stored");
    limit("PRAGMA max_page_count = 1073741823").await.expect("room again");
    store.write(add("after")).await.expect("there is room");
    let threads = threads(store).await;
    assert!(threads.contains(&"before".to_owned()) && threads.contains(&"after".to_owned()));
    assert_eq!(store.integrity_check().await.expect("a readable database"), Vec::<String>::new());
}

#[tokio::test]
async fn a_job_that_is_told_of_a_loss_stays_alone_in_its_group() {
    let Fixture { store, _folder } = &fixture();
    let outcome = in_one_group(store, async {
        store.write_later(|_| Err(StoreError::conflict("lost")));
        tokio::join!(biased; store.write(add("told")), store.write(add("kept")))
    });
    let (told, kept) = outcome.await;
    assert_eq!(told.expect_err("it is told").to_string(), "lost");
    kept.expect("the next one is not concerned");
    assert_eq!(threads(store).await, ["kept"]);
}

#[tokio::test]
async fn the_writer_flushes_at_every_commit() {
    let Fixture { store, _folder } = &fixture();
    let settings = store.write(|tx| {
        let level: i64 = tx.query_one("PRAGMA synchronous", &[], |row| row.next())?;
        let mode: String = tx.query_one("PRAGMA journal_mode", &[], |row| row.next())?;
        let foreign_keys: i64 = tx.query_one("PRAGMA foreign_keys", &[], |row| row.next())?;
        Ok((level, mode, foreign_keys))
    });
    assert_eq!(settings.await.expect("a write"), (2, "wal".to_owned(), 1));
}

#[tokio::test]
async fn a_clone_kept_by_a_job_does_not_stop_the_store_from_closing() {
    let Fixture { store, _folder } = fixture();
    let clone = store.clone();
    store.write_later(move |_| {
        drop(clone);
        Ok(())
    });
    drop(store);
}
