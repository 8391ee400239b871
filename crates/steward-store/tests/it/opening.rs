//! Opening, owning, copying, checking and losing a database.

use std::fs;

use steward_store::{Store, StoreError, sessions};

use crate::database::{Database, at, on_both};
use crate::rows::session;

on_both![
    what_was_acknowledged_is_there_after_opening_again,
    opening_twice_in_a_row_changes_nothing,
    a_database_of_a_newer_version_is_refused,
    a_sound_database_has_no_findings,
];

async fn what_was_acknowledged_is_there_after_opening_again(database: Database) {
    let store = database.open();
    let stored = session(&store, "a").await;
    drop(store);
    let store = database.open();
    let read = store.read(move |tx| sessions::list(tx, 10)).await.unwrap();
    assert_eq!(read, [stored]);
}

async fn opening_twice_in_a_row_changes_nothing(database: Database) {
    let store = database.open();
    let stored = session(&store, "a").await;
    drop(store);
    drop(database.open());
    let read = database.open().read(move |tx| sessions::list(tx, 10)).await.unwrap();
    assert_eq!(read, [stored]);
}

async fn a_database_of_a_newer_version_is_refused(database: Database) {
    drop(database.open());
    let insert = "INSERT INTO schema_versions (version, name, applied_at) VALUES (9999, '9999_future', 0)";
    let path = database.folder.path().join("steward.db");
    if let Some(server) = &database.server {
        server.sql(database.url.rsplit('/').next().unwrap(), insert).unwrap();
    } else {
        rusqlite::Connection::open(&path).unwrap().execute_batch(insert).unwrap();
    }
    let before = database.is_sqlite().then(|| fs::read(&path).unwrap());
    let error = Store::open(&database.url, at(1)).err().unwrap();
    assert!(matches!(error, StoreError::NewerVersion { found: 9999, .. }), "{error:?}");
    assert!(error.to_string().contains("version 9999"), "{error}");
    assert_eq!(before, database.is_sqlite().then(|| fs::read(&path).unwrap()));
}

async fn a_sound_database_has_no_findings(database: Database) {
    let store = database.open();
    session(&store, "a").await;
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
}

/// A crash before the file came to WAL mode leaves a rollback journal, and what was half done is in the file already.
#[test]
fn a_database_that_was_being_made_at_a_crash_opens() {
    let database = Database::sqlite();
    let path = database.folder.path().join("steward.db");
    let made = database.folder.path().join("made.db");
    let maker = rusqlite::Connection::open(&made).unwrap();
    let spill = "PRAGMA cache_size=1; CREATE TABLE early (text TEXT); BEGIN;
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO early SELECT hex(zeroblob(100)) FROM n;";
    maker.execute_batch(spill).unwrap();
    fs::copy(&made, &path).unwrap();
    fs::copy(made.with_extension("db-journal"), path.with_extension("db-journal")).unwrap();
    drop(database.open());
    let count = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT COUNT(*) FROM early", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 0);
}

#[test]
fn a_second_owner_of_the_file_is_refused_until_the_first_is_gone() {
    let database = Database::sqlite();
    let first = database.open();
    let error = Store::open(&database.url, at(1)).err().unwrap();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().starts_with("another Steward owns "), "{error}");
    drop(first);
    drop(database.open());
}

#[test]
fn a_url_of_an_unknown_kind_is_refused_without_repeating_it() {
    let error = Store::open("mysql://root:secret@localhost/x", at(0)).err().unwrap();
    assert_eq!(error.to_string(), "the store's URL must begin with sqlite: or postgres://");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let database = Database::sqlite();
    let path = database.folder.path().join("steward.db");
    fs::write(
        &path,
        "this is my shopping list, not a database, and it is long enough to have a header of its own".repeat(20),
    )
    .unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&database.url, at(0)).err().unwrap();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_copy_holds_one_moment_and_opens_like_the_original() {
    let database = Database::sqlite();
    let store = database.open();
    let stored = session(&store, "a").await;
    let target = database.folder.path().join("copy.db");
    store.backup_to(&target).await.unwrap();
    session(&store, "b").await;
    let copy = Store::open(&format!("sqlite:{}", target.display()), at(9)).unwrap();
    let read = copy.read(|tx| sessions::list(tx, 10)).await.unwrap();
    assert_eq!(read, [stored]);
    let again = store.backup_to(&target).await;
    assert!(matches!(again, Err(StoreError::Unavailable { .. })), "{again:?}");
}

#[tokio::test]
async fn a_copy_of_postgres_is_left_to_its_own_tool() {
    let database = Database::postgres();
    let error = database.open().backup_to(&database.folder.path().join("copy")).await.unwrap_err();
    assert!(error.to_string().contains("pg_dump"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_fails_its_group_and_the_next_one_connects_again() {
    let database = Database::postgres();
    let store = database.open();
    session(&store, "a").await;
    let server = database.server.clone().unwrap();
    let cut =
        "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'steward' AND datname = current_database()";
    let name = database.url.rsplit('/').next().unwrap().to_owned();
    // Inside a job: the connection goes while the transaction is open.
    let wanted = crate::rows::name("lost");
    let outcome = store
        .write(move |tx| {
            sessions::find_or_create(tx, &wanted, at(2))?;
            server.sql(&name, cut).unwrap();
            sessions::list(tx, 1)
        })
        .await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    session(&store, "b").await;
    let threads: Vec<String> = store
        .read(|tx| sessions::list(tx, 10))
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.thread)
        .collect();
    assert_eq!(threads, ["b", "a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashed_and_came_back_has_what_was_acknowledged() {
    let mut server = steward_store::test_support::PostgresServer::start().unwrap_or_else(|error| panic!("{error}"));
    let url = server.create_database("crash").unwrap();
    let store = Store::open(&url, at(0)).unwrap();
    session(&store, "a").await;
    server.kill();
    let wanted = crate::rows::name("while away");
    let outcome = store.write(move |tx| sessions::find_or_create(tx, &wanted, at(2))).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    assert!(store.read(|tx| sessions::list(tx, 10)).await.is_err());
    server.restart().unwrap();
    session(&store, "b").await;
    let threads: Vec<String> = store
        .read(|tx| sessions::list(tx, 10))
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.thread)
        .collect();
    assert_eq!(threads, ["b", "a"]);
}
