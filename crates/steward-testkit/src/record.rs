//! What the scripted model was asked, and whether each answer went out whole.
//!
//! With a file, each line is durable before the answer begins, so that the record survives whatever is killed.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Requests kept in memory; older ones are dropped first.
const KEPT_REQUESTS: usize = 10_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// Counts from 0.
    pub number: u64,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The wire, as in configuration: `openai-chat` and so on.
    pub wire: String,
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body; null where bodies are not kept.
    pub body: Value,
    /// The body's size.
    pub body_bytes: usize,
    /// Names the conversation: see [`crate::conversation::Conversation::key`].
    pub key: String,
    /// What the person said last.
    pub last_user_text: String,
    /// Answers since then.
    pub step: usize,
    /// How the answer ended.
    pub fate: Fate,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is still on its way, or the server died.
    Open,
    /// Every byte was handed to the connection.
    Completed,
    /// The client hung up, or the script cut the connection.
    Broken,
    /// An error was the answer.
    Refused,
}

/// Which bodies are kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Bodies too.
    Bodies,
    /// All but bodies.
    Outlines,
}

/// Keeps what was asked.
#[derive(Debug)]
pub struct Recorder {
    state: Mutex<State>,
    keep: Keep,
}

#[derive(Debug)]
struct State {
    requests: VecDeque<RecordedRequest>,
    next: u64,
    file: Option<File>,
}

impl Recorder {
    /// A recorder; with a path it also appends JSON lines there, each made durable at once.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(keep: Keep, path: Option<&Path>) -> io::Result<Self> {
        let file = path
            .map(|path| OpenOptions::new().create(true).append(true).open(path))
            .transpose()?;
        let state = State {
            requests: VecDeque::new(),
            next: 0,
            file,
        };
        Ok(Recorder {
            state: Mutex::new(state),
            keep,
        })
    }

    /// Notes a request and gives it its number.
    pub(crate) fn asked(&self, mut request: RecordedRequest) -> u64 {
        let mut state = self.lock();
        request.number = state.next;
        request.at_ms = now_ms();
        state.next += 1;
        let number = request.number;
        if state.file.is_some() {
            let mut line = json!(request);
            line["event"] = json!("asked");
            state.append(&line);
        }
        if self.keep == Keep::Outlines {
            request.body = Value::Null;
        }
        if state.requests.len() == KEPT_REQUESTS {
            state.requests.pop_front();
        }
        state.requests.push_back(request);
        number
    }

    /// Notes how the answer to request `number` ended.
    pub(crate) fn ended(&self, number: u64, fate: Fate) {
        let mut state = self.lock();
        state.append(&json!({"event": "ended", "number": number, "at_ms": now_ms(), "fate": fate}));
        if let Some(request) = state.requests.iter_mut().rev().find(|request| request.number == number) {
            request.fate = fate;
        }
    }

    /// All requests that are kept, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.lock().requests.iter().cloned().collect()
    }

    /// How many requests came in all.
    pub fn count(&self) -> u64 {
        self.lock().next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A record that cannot be written makes every test on it worthless, so it stops the server.
    fn append(&mut self, line: &Value) {
        if let Some(file) = &mut self.file {
            let text = format!("{line}\n");
            file.write_all(text.as_bytes()).expect("the record of requests can be written");
            file.sync_data().expect("the record of requests can be made durable");
        }
    }
}

/// Reads a record file, each request with the fate that was noted last.
///
/// # Errors
/// When the file cannot be read or a line is no record.
pub fn read_file(path: &Path) -> io::Result<Vec<RecordedRequest>> {
    let text = std::fs::read_to_string(path)?;
    let mut requests: Vec<RecordedRequest> = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["event"] == "asked" {
            requests.push(serde_json::from_value(line)?);
            continue;
        }
        let fate: Fate = serde_json::from_value(line["fate"].clone())?;
        if let Some(request) = requests.iter_mut().rev().find(|request| line["number"] == request.number) {
            request.fate = fate;
        }
    }
    Ok(requests)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
