//! The local model from its package to its answers: pulled once into the build folder, then asked.
//!
//! Needs the package registry on the first run; the tests of plans need nothing.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use steward_domain::id::{CallId, RequestId};
use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::{AnswerFormat, Caller, Finish, FinishReason, Model, ModelErrorKind, ModelEvent, ModelRequest, ToolDefinition};
use steward_domain::principal::Principal;
use steward_inference::local::{LocalConfig, LocalModel};
use steward_inference::pull;

/// The weights, pulled by the code under test into the build folder and kept there.
fn weights() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-models");
        pull::pull("smollm2-135m", &folder, &mut |_| ())
            .expect("the package registry is reached")
            .path
    })
}

fn model(config: LocalConfig) -> LocalModel {
    LocalModel::load(weights(), config).unwrap()
}

/// One model for the tests that only ask, so that the weights are loaded once.
fn shared_model() -> Arc<LocalModel> {
    static MODEL: OnceLock<Arc<LocalModel>> = OnceLock::new();
    Arc::clone(MODEL.get_or_init(|| Arc::new(model(LocalConfig::default()))))
}

fn caller() -> Caller {
    Caller::new(Principal::System, RequestId::generate())
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest {
        max_output_tokens: Some(24),
        ..ModelRequest::new("smollm2-135m", messages)
    }
}

fn chat(text: &str) -> ModelRequest {
    request(vec![
        Message::text(Role::System, "You are a helpful assistant."),
        Message::text(Role::User, text),
    ])
}

/// The pieces of text, the tool calls and the end of one answer.
struct Answer {
    pieces: Vec<String>,
    calls: Vec<(String, Value)>,
    end: Finish,
}

async fn ask(model: &LocalModel, request: ModelRequest) -> Answer {
    let events: Vec<ModelEvent> = model.stream(request, caller()).collect().await;
    assert!(
        matches!(events.first(), Some(ModelEvent::Started(answerer)) if answerer.target == "local/smollm2-135m"),
        "{events:?}"
    );
    let mut answer = Answer {
        pieces: Vec::new(),
        calls: Vec::new(),
        end: Finish {
            reason: FinishReason::Refusal,
            usage: Default::default(),
            usage_source: steward_domain::usage::UsageSource::Estimated,
            cost: steward_domain::money::Usd::ZERO,
        },
    };
    for event in events {
        match event {
            ModelEvent::Text(piece) => answer.pieces.push(piece),
            ModelEvent::ToolCallStarted { name, .. } => answer.calls.push((name, Value::Null)),
            ModelEvent::ToolCallArguments { json, .. } => answer.calls.last_mut().unwrap().1 = serde_json::from_str(&json).unwrap(),
            ModelEvent::Finished(end) => answer.end = *end,
            ModelEvent::Failed(problem) => panic!("{problem}"),
            _ => {}
        }
    }
    answer
}

#[tokio::test]
async fn an_answer_streams_in_pieces_and_counts_its_tokens() {
    let answer = ask(&shared_model(), chat("What is the capital of France?")).await;
    assert!(answer.pieces.len() > 3, "{:?}", answer.pieces);
    assert!(!answer.pieces.concat().trim().is_empty());
    assert!(
        answer.end.usage.total_input() > 15 && answer.end.usage.output >= 4,
        "{:?}",
        answer.end
    );
}

#[tokio::test]
async fn a_limit_on_tokens_ends_the_answer() {
    let short = ModelRequest {
        max_output_tokens: Some(3),
        ..chat("Count from one to one hundred.")
    };
    let answer = ask(&shared_model(), short).await;
    assert_eq!((answer.end.reason, answer.end.usage.output), (FinishReason::Length, 3));
}

#[tokio::test]
async fn the_same_beginning_is_not_computed_twice() {
    let model = model(LocalConfig::default());
    let rules = "You answer questions about animals. Say only what you know. Use short words. Be kind.";
    let asking = |text: &str| request(vec![Message::text(Role::System, rules), Message::text(Role::User, text)]);
    let first = ask(&model, asking("Do cats sleep?")).await.end.usage;
    let second = ask(&model, asking("Do dogs bark?")).await.end.usage;
    assert_eq!(first.cached_input, 0);
    assert!(second.cached_input > 20 && second.input < first.input, "{first:?} {second:?}");
}

#[tokio::test]
async fn an_answer_of_a_schema_is_valid_json() {
    let schema = json!({"type": "object", "properties": {
        "city": {"type": "string", "maxLength": 20}, "size": {"enum": ["small", "large"]}, "people": {"type": "integer"},
    }, "required": ["city", "size", "people"]});
    let asked = ModelRequest {
        format: AnswerFormat::JsonSchema {
            name: "city".to_owned(),
            schema,
            is_strict: true,
        },
        max_output_tokens: Some(60),
        ..chat("Describe Paris.")
    };
    let text = ask(&shared_model(), asked).await.pieces.concat();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
    assert!(
        value["city"].is_string() && value["people"].is_i64() && ["small", "large"].contains(&value["size"].as_str().unwrap()),
        "{text}"
    );
}

#[tokio::test]
async fn a_dropped_answer_stops_within_a_moment() {
    let model = shared_model();
    let endless = ModelRequest {
        max_output_tokens: Some(1_500),
        ..chat("Write a very long story.")
    };
    let mut stream = model.stream(endless, caller());
    while !matches!(stream.next().await, Some(ModelEvent::Text(_))) {}
    drop(stream);
    let begun = Instant::now();
    ask(
        &model,
        ModelRequest {
            max_output_tokens: Some(1),
            ..chat("Hi")
        },
    )
    .await;
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "the thread was not free for {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn weights_are_let_go_when_nobody_asks() {
    let model = model(LocalConfig {
        unload_after: Duration::from_millis(50),
        ..LocalConfig::default()
    });
    assert!(!model.is_loaded());
    ask(&model, chat("Hi")).await;
    let begun = Instant::now();
    while model.is_loaded() && begun.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!model.is_loaded());
    ask(&model, chat("Hi again")).await;
}

#[tokio::test]
async fn a_request_longer_than_the_context_is_refused_as_such() {
    let events: Vec<ModelEvent> = shared_model().stream(chat(&"many words ".repeat(3_000)), caller()).collect().await;
    assert!(
        matches!(events.as_slice(), [ModelEvent::Failed(problem)] if problem.kind == ModelErrorKind::ContextTooLong),
        "{events:?}"
    );
}

#[test]
fn what_is_no_model_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    assert!(LocalModel::load(&path, LocalConfig::default()).is_err_and(|problem| problem.kind == ModelErrorKind::NotFound));
    std::fs::write(&path, b"something else").unwrap();
    assert!(LocalModel::load(&path, LocalConfig::default()).is_err_and(|problem| problem.kind == ModelErrorKind::Unsupported));
}

fn tool(name: &str, description: &str, schema: Value) -> ToolDefinition {
    ToolDefinition {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: schema,
        extra: serde_json::Map::new(),
    }
}

fn first_day_tools() -> Vec<ToolDefinition> {
    let texts = |names: &[&str]| {
        let properties: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
        json!({"type": "object", "properties": properties, "required": names})
    };
    vec![
        tool("read", "Read a text file, optionally lines from-to.", texts(&["path"])),
        tool("list", "List a folder: names, sizes in bytes.", texts(&["path"])),
        tool("search", "Search file contents with a regular expression.", texts(&["pattern"])),
        tool("write", "Write a whole file, replacing it.", texts(&["path", "content"])),
        tool("edit", "Replace one passage of a file.", texts(&["path", "old", "new"])),
        tool("apply_patch", "Apply a unified diff to files.", texts(&["patch"])),
        tool("shell", "Run a command in the sandbox.", texts(&["command"])),
        tool("shell_poll", "Read new output of a background process.", texts(&["id"])),
        tool("web_fetch", "Fetch a page as Markdown.", texts(&["url"])),
        tool("web_search", "Search the web.", texts(&["query"])),
        tool("message", "Send a message to a person or channel.", texts(&["to", "text"])),
        tool("ask", "Ask the person a question and wait.", texts(&["question"])),
    ]
}

/// What the tools of this test answer.
fn result_of(tool: &str) -> &'static str {
    match tool {
        "list" => "config.toml 64\nletter.txt 310\nnotes.md 120\nphotos/",
        "read" => "The meeting is on Friday at ten.\nBring the budget.",
        "search" => "notes.md:2: Bring the budget.",
        "shell" => "Linux\n[exit code 0]",
        _ => "done",
    }
}

/// A whole turn without running a tool: the calls the model makes and the text it ends with.
async fn turn(model: &LocalModel, text: &str) -> (Vec<(String, Value)>, String) {
    let mut messages = vec![
        Message::text(Role::System, "You are an agent with tools."),
        Message::text(Role::User, text),
    ];
    let mut calls = Vec::new();
    for _ in 0..8 {
        let asked = ModelRequest {
            tools: first_day_tools(),
            ..request(messages.clone())
        };
        let answer = ask(model, asked).await;
        let Some((name, arguments)) = answer.calls.first().cloned() else {
            return (calls, answer.pieces.concat());
        };
        assert_eq!(answer.end.reason, FinishReason::ToolCalls);
        let id = CallId::generate();
        let call = ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: arguments.to_string(),
            signature: None,
        };
        messages.push(Message {
            role: Role::Assistant,
            parts: vec![Part::ToolCall(call)],
        });
        messages.push(Message {
            role: Role::User,
            parts: vec![Part::ToolResult {
                call_id: id,
                name: name.clone(),
                content: vec![Part::text(result_of(&name))],
                is_error: false,
            }],
        });
        calls.push((name, arguments));
    }
    panic!("the turn of {text:?} does not end: {calls:?}");
}

#[tokio::test]
async fn ten_tasks_of_the_first_day_are_planned_right() {
    let names = "config.toml\nletter.txt\nnotes.md\nphotos\n";
    let friday = "The meeting is on Friday at ten.\nBring the budget.\n";
    let tasks = [
        (
            "List the files here and write their names to inventory.md",
            json!([["list", {"path": "."}], ["write", {"path": "inventory.md", "content": names}]]),
        ),
        (
            "Read notes.md and tell me when the meeting is.",
            json!([["read", {"path": "notes.md"}]]),
        ),
        (
            "Write \"Buy milk and bread.\" to shopping.txt",
            json!([["write", {"path": "shopping.txt", "content": "Buy milk and bread."}]]),
        ),
        ("Search the files for the word budget", json!([["search", {"pattern": "budget"}]])),
        ("Run the command uname", json!([["shell", {"command": "uname"}]])),
        (
            "Replace \"Friday\" with \"Monday\" in notes.md",
            json!([["edit", {"path": "notes.md", "old": "Friday", "new": "Monday"}]]),
        ),
        (
            "Copy the content of notes.md to backup.md",
            json!([["read", {"path": "notes.md"}], ["write", {"path": "backup.md", "content": friday}]]),
        ),
        ("Which files are in this folder?", json!([["list", {"path": "."}]])),
        (
            "Find all files that mention budget, then save the result in found.txt",
            json!([["search", {"pattern": "budget"}], ["write", {"path": "found.txt", "content": "notes.md:2: Bring the budget.\n"}]]),
        ),
        (
            "Run `date` and put the output into now.txt",
            json!([["shell", {"command": "date"}], ["write", {"path": "now.txt", "content": "Linux\n"}]]),
        ),
        ("Hello! Who are you?", json!([])),
        (
            "Send Ana a message saying the report is ready",
            json!([["message", {"to": "Ana", "text": "the report is ready"}]]),
        ),
    ];
    let model = shared_model();
    let mut wrong = Vec::new();
    for (text, wanted) in &tasks {
        let (calls, answer) = turn(&model, text).await;
        let calls = json!(calls);
        println!("{text}\n  {calls}\n  {answer:?}");
        assert!(!answer.trim().is_empty(), "{text}");
        if calls != *wanted {
            wrong.push(format!("{text}: {calls}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} tasks: {wrong:#?}", wrong.len(), tasks.len());
}
