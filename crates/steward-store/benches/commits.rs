//! Commits a second on both databases: one writer alone, and many writers whose jobs share commits.
//!
//! A program for a person, not a test: it prints one line a case. SQLite's file is made in the folder given as the last
//! argument, or in the current one, because a folder in memory would flatter it.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, ChannelName, SessionId, TurnId};
use steward_domain::journal::{JournalEvent, TurnStatus};
use steward_domain::money::Usd;
use steward_domain::principal::{Principal, Surface};
use steward_store::sessions::SessionName;
use steward_store::test_support::PostgresServer;
use steward_store::turns::TurnRow;
use steward_store::{Store, journal, sessions, turns};

const TIME: Duration = Duration::from_secs(5);
const WRITERS: [usize; 4] = [1, 16, 64, 512];

#[tokio::main]
async fn main() {
    let folder = std::env::args().skip(1).rfind(|argument| !argument.starts_with("--"));
    let folder = folder.map_or_else(|| std::env::current_dir().unwrap(), PathBuf::from);
    let folder = tempfile::TempDir::with_prefix_in("bench-", folder).unwrap();
    measure("SQLite", &format!("sqlite:{}", folder.path().join("bench.db").display())).await;
    let server = PostgresServer::start().unwrap();
    measure("PostgreSQL", &server.create_database("bench").unwrap()).await;
}

async fn measure(kind: &str, url: &str) {
    let store = Store::open(url, now()).unwrap();
    let (turn, session) = prepare(&store).await;
    for writers in WRITERS {
        let commits_before = store.commit_count();
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..writers {
            let (store, turn, session) = (store.clone(), turn.clone(), session.clone());
            tasks.spawn(async move {
                let mut rows = 0;
                while began.elapsed() < TIME {
                    append(&store, &turn, &session).await;
                    rows += 1;
                }
                rows
            });
        }
        let rows: u32 = tasks.join_all().await.into_iter().sum();
        let seconds = began.elapsed().as_secs_f64();
        let commits = (store.commit_count() - commits_before) as f64 / seconds;
        let rows = f64::from(rows) / seconds;
        println!("{kind:<10} {writers:>4} writers: {rows:>6.0} journal rows/s in {commits:>4.0} commits/s");
    }
}

async fn append(store: &Store, turn: &TurnId, session: &SessionId) {
    let (turn, session) = (turn.clone(), session.clone());
    let event = JournalEvent::Noted { text: "x".repeat(300) };
    store
        .write(move |tx| journal::append(tx, &turn, &session, now(), &event))
        .await
        .unwrap();
}

async fn prepare(store: &Store) -> (TurnId, SessionId) {
    let name = SessionName {
        agent: AgentName::from("main"),
        channel: ChannelName::from("web"),
        thread: "bench".to_owned(),
        principal: Principal::System,
    };
    let session = store.write(move |tx| sessions::find_or_create(tx, &name, now())).await.unwrap().id;
    let row = TurnRow {
        id: TurnId::generate(),
        session: session.clone(),
        agent: AgentName::from("main"),
        principal: Principal::System,
        surface: Surface::System,
        status: TurnStatus::Running,
        text: String::new(),
        steps: 0,
        cost: Usd::ZERO,
        input_tokens: 0,
        output_tokens: 0,
        started_at: now(),
        ended_at: None,
    };
    let turn = row.id.clone();
    store.write(move |tx| turns::insert(tx, &row)).await.unwrap();
    (turn, session)
}

fn now() -> Timestamp {
    Timestamp::now()
}
