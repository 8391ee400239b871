//! A fresh database of either kind for one test.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use steward_domain::clock::Timestamp;
use steward_store::Store;
use steward_store::test_support::PostgresServer;
use tempfile::TempDir;

/// Runs each promise on both databases.
macro_rules! on_both {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::database::Database::sqlite()).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::database::Database::postgres()).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// A database that goes away with the test.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) folder: TempDir,
    pub(crate) server: Option<Arc<PostgresServer>>,
}

// Tests that run at the same time in one process share a server; the last one to end stops it.
static SERVER: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        Database {
            url: format!("sqlite:{}", folder.path().join("steward.db").display()),
            folder,
            server: None,
        }
    }

    pub(crate) fn postgres() -> Self {
        let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(PostgresServer::start().unwrap_or_else(|error| panic!("{error}")));
            *shared = Arc::downgrade(&server);
            server
        });
        drop(shared);
        let name = steward_domain::id::TurnId::generate().to_string();
        Database {
            url: server.create_database(&name).unwrap(),
            folder: TempDir::new().unwrap(),
            server: Some(server),
        }
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(&self.url, at(0)).unwrap()
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.server.is_none()
    }
}

/// An instant of the fake time: `seconds` after its beginning.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).unwrap()
}
