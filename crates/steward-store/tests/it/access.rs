//! Keys, users, sign-in links and browser sessions.

use steward_domain::id::{AgentName, KeyId};
use steward_domain::principal::Role;
use steward_store::keys::{self, KeyRow};
use steward_store::signin_links::{self, SigninLinkRow};
use steward_store::users::{self, UserRow};
use steward_store::web_sessions::{self, WebSessionRow};
use steward_store::{Store, StoreError};

use crate::database::{Database, at, on_both};

on_both![
    a_key_is_found_by_hash_and_revoked_by_id_or_name,
    an_administrator_is_a_key_in_use_or_a_user,
    users_keep_role_team_and_password,
    a_signin_link_works_once_and_in_time,
    a_browser_session_lives_until_it_ends,
];

fn key(name: &str, hash: &str, role: Role) -> KeyRow {
    KeyRow {
        id: KeyId::generate(),
        name: name.to_owned(),
        hash: hash.to_owned(),
        prefix: "sk-steward-ab".to_owned(),
        role,
        user: Some("ana".to_owned()),
        team: Some("support".to_owned()),
        agent: Some(AgentName::from("main")),
        created_at: at(1),
        expires_at: Some(at(1000)),
        revoked_at: None,
    }
}

async fn insert_key(store: &Store, row: &KeyRow) -> Result<(), StoreError> {
    let row = row.clone();
    store.write(move |tx| keys::insert(tx, &row)).await
}

async fn a_key_is_found_by_hash_and_revoked_by_id_or_name(database: Database) {
    let store = database.open();
    let first = key("ci", "h1", Role::Member);
    insert_key(&store, &first).await.unwrap();
    let found = store.read(|tx| keys::find_by_hash(tx, "h1")).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    let same_name = insert_key(&store, &key("ci", "h2", Role::Member)).await;
    assert!(matches!(same_name, Err(StoreError::Conflict { .. })), "{same_name:?}");
    let revoked = store.write(|tx| keys::revoke(tx, "ci", at(9))).await.unwrap();
    assert_eq!((revoked.id.clone(), revoked.revoked_at), (first.id.clone(), Some(at(9))));
    let id = first.id.clone();
    assert_eq!(store.read(move |tx| keys::get(tx, &id)).await.unwrap(), Some(revoked));
    let second = key("ci", "h2", Role::Member);
    insert_key(&store, &second).await.unwrap();
    let id = second.id.clone();
    store.write(move |tx| keys::revoke(tx, id.as_str(), at(10))).await.unwrap();
    let none = store.write(|tx| keys::revoke(tx, "ci", at(11))).await;
    assert!(matches!(none, Err(StoreError::NotFound { .. })), "{none:?}");
    let listed: Vec<_> = store
        .read(|tx| keys::list(tx, 10))
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(listed, [second.id, first.id]);
}

async fn an_administrator_is_a_key_in_use_or_a_user(database: Database) {
    let store = database.open();
    let any_admin = |seconds| {
        let store = store.clone();
        async move { store.read(move |tx| keys::any_admin(tx, at(seconds))).await.unwrap() }
    };
    insert_key(&store, &key("member", "h0", Role::Member)).await.unwrap();
    assert!(!any_admin(5).await);
    insert_key(&store, &key("admin", "h1", Role::Admin)).await.unwrap();
    assert!(any_admin(5).await);
    assert!(!any_admin(1000).await);
    store.write(|tx| keys::revoke(tx, "admin", at(6))).await.unwrap();
    assert!(!any_admin(6).await);
    let owner = UserRow {
        name: "root".to_owned(),
        role: Role::Owner,
        team: None,
        password_hash: None,
        created_at: at(1),
    };
    store.write(move |tx| users::insert(tx, &owner)).await.unwrap();
    assert!(any_admin(1000).await);
}

async fn users_keep_role_team_and_password(database: Database) {
    let store = database.open();
    let ana = UserRow {
        name: "ana".to_owned(),
        role: Role::Member,
        team: Some("support".to_owned()),
        password_hash: None,
        created_at: at(1),
    };
    let row = ana.clone();
    store.write(move |tx| users::insert(tx, &row)).await.unwrap();
    let row = ana.clone();
    let twice = store.write(move |tx| users::insert(tx, &row)).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
    store
        .write(|tx| {
            users::set_role(tx, "ana", Role::Operator, None)?;
            users::set_password(tx, "ana", Some("argon2"))
        })
        .await
        .unwrap();
    let wanted = UserRow {
        role: Role::Operator,
        team: None,
        password_hash: Some("argon2".to_owned()),
        ..ana
    };
    assert_eq!(store.read(|tx| users::get(tx, "ana")).await.unwrap(), Some(wanted.clone()));
    assert_eq!(store.read(|tx| users::list(tx, 10)).await.unwrap(), [wanted]);
    assert!(store.write(|tx| users::delete(tx, "ana")).await.unwrap());
    assert!(!store.write(|tx| users::delete(tx, "ana")).await.unwrap());
    let missing = store.write(|tx| users::set_role(tx, "ana", Role::Viewer, None)).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
}

async fn a_signin_link_works_once_and_in_time(database: Database) {
    let store = database.open();
    for hash in ["one", "two"] {
        let row = SigninLinkRow {
            hash: hash.to_owned(),
            user: "ana".to_owned(),
            role: Role::Owner,
            expires_at: at(100),
            used_at: None,
        };
        store.write(move |tx| signin_links::insert(tx, &row)).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        tasks.spawn(async move { store.write(|tx| signin_links::use_once(tx, "one", at(99))).await.unwrap() });
    }
    let used: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(used.len(), 1);
    assert_eq!((used[0].user.as_str(), used[0].used_at), ("ana", Some(at(99))));
    let late = store.write(|tx| signin_links::use_once(tx, "two", at(100))).await.unwrap();
    assert_eq!(late, None);
    assert_eq!(store.write(|tx| signin_links::delete_expired(tx, at(100))).await.unwrap(), 2);
}

async fn a_browser_session_lives_until_it_ends(database: Database) {
    let store = database.open();
    let row = WebSessionRow {
        hash: "cookie".to_owned(),
        user: "ana".to_owned(),
        role: Role::Admin,
        csrf: "token".to_owned(),
        created_at: at(1),
        last_at: at(1),
        expires_at: at(50),
    };
    let stored = row.clone();
    store.write(move |tx| web_sessions::insert(tx, &stored)).await.unwrap();
    assert_eq!(
        store.read(|tx| web_sessions::find(tx, "cookie", at(49))).await.unwrap(),
        Some(row.clone())
    );
    assert_eq!(store.read(|tx| web_sessions::find(tx, "cookie", at(50))).await.unwrap(), None);
    store.write(|tx| web_sessions::touch(tx, "cookie", at(40), at(90))).await.unwrap();
    let wanted = WebSessionRow {
        last_at: at(40),
        expires_at: at(90),
        ..row
    };
    assert_eq!(
        store.read(|tx| web_sessions::find(tx, "cookie", at(50))).await.unwrap(),
        Some(wanted)
    );
    assert_eq!(store.write(|tx| web_sessions::delete_of_user(tx, "ana")).await.unwrap(), 1);
    assert!(!store.write(|tx| web_sessions::delete(tx, "cookie")).await.unwrap());
    assert_eq!(store.write(|tx| web_sessions::delete_expired(tx, at(500))).await.unwrap(), 0);
}
