use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Options, ScriptedModelServer};
use crate::record::{self, Fate};
use crate::script::{Reply, Script, ScriptedError};

/// Sends one request over a plain socket and gives everything that comes back until the connection closes.
async fn post(server: &ScriptedModelServer, path: &str, body: &Value) -> String {
    let address = server.base_url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that the script cuts ends with an error or an end, as the system likes.
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn chat(is_stream: bool) -> Value {
    json!({"model": "m", "stream": is_stream, "messages": [{"role": "user", "content": "go"}]})
}

async fn start(replies: impl IntoIterator<Item = Reply>) -> ScriptedModelServer {
    ScriptedModelServer::start(Script::by_step(replies)).await.unwrap()
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_stream_ends_with_done_and_is_recorded_as_completed() {
    let server = start([Reply::text("hello there")]).await;
    let answer = post(&server, CHAT, &chat(true)).await;
    assert!(answer.contains(r#""content":"hello ""#), "{answer}");
    assert!(answer.contains("data: [DONE]\n\n"), "{answer}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].fate, Fate::Completed);
    assert_eq!(requests[0].last_user_text, "go");
    assert_eq!(server.calls_for(&requests[0].key).len(), 1);
}

#[tokio::test]
async fn a_cut_stream_keeps_what_came_before_the_cut() {
    let reply = Reply {
        cut_after_events: Some(2),
        ..Reply::text("one two three")
    };
    let server = start([reply]).await;
    let answer = post(&server, CHAT, &chat(true)).await;
    assert!(answer.contains("one "), "{answer}");
    assert!(!answer.contains("two "), "{answer}");
    assert!(!answer.contains("\r\n0\r\n\r\n"), "the body must not end in good order: {answer}");
    assert_eq!(server.requests()[0].fate, Fate::Broken);
}

#[tokio::test]
async fn an_error_has_its_status_and_its_wait() {
    let error = ScriptedError {
        status: 429,
        retry_after: Some("7".to_owned()),
        ..ScriptedError::default()
    };
    let reply = Reply {
        error: Some(error),
        ..Reply::default()
    };
    let server = start([reply]).await;
    let answer = post(
        &server,
        "/v1/messages",
        &json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "go"}]}),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 7\r\n"), "{answer}");
    assert!(answer.contains("rate_limit_error"), "{answer}");
    assert_eq!(server.requests()[0].fate, Fate::Refused);
}

#[tokio::test]
async fn a_stream_can_fail_after_it_began() {
    let error = ScriptedError {
        status: 500,
        after_events: Some(2),
        ..ScriptedError::default()
    };
    let reply = Reply {
        error: Some(error),
        ..Reply::text("one two")
    };
    let server = start([reply]).await;
    let answer = post(&server, CHAT, &chat(true)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("one ") && answer.contains("server_error"), "{answer}");
}

#[tokio::test]
async fn an_endless_answer_ends_when_the_client_hangs_up() {
    let reply = Reply {
        endless: true,
        delay_token_ms: 1,
        ..Reply::text("tick ")
    };
    let server = start([reply]).await;
    let hung_up = tokio::time::timeout(Duration::from_millis(100), post(&server, CHAT, &chat(true))).await;
    assert!(hung_up.is_err(), "the answer does not end by itself");
    let mut tries = 0;
    while server.requests()[0].fate == Fate::Open && tries < 500 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        tries += 1;
    }
    assert_eq!(server.requests()[0].fate, Fate::Broken);
}

#[tokio::test]
async fn the_record_on_disk_tells_the_same_as_the_one_in_memory() {
    let path = std::env::temp_dir().join(format!("steward-testkit-record-{}.jsonl", std::process::id()));
    let options = Options {
        record: Some(path.clone()),
        ..Options::default()
    };
    let server = ScriptedModelServer::start_with(Script::by_step([Reply::text("hi")]), options)
        .await
        .unwrap();
    post(&server, CHAT, &chat(false)).await;
    assert_eq!(record::read_file(&path).unwrap(), server.requests());
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_refused() {
    let script = Script {
        require_key: Some("sk-right".to_owned()),
        ..Script::by_step([Reply::text("hi")])
    };
    let server = ScriptedModelServer::start(script).await.unwrap();
    let answer = post(&server, CHAT, &chat(false)).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn the_file_task_writes_the_names_it_was_given() {
    let server = ScriptedModelServer::start(Script::file_task()).await.unwrap();
    let call = json!([{"id": "a", "type": "function", "function": {"name": "list", "arguments": "{\"path\":\".\"}"}}]);
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "List the files here and write their names to inventory.md"},
        {"role": "assistant", "content": null, "tool_calls": call},
        {"role": "tool", "tool_call_id": "a", "content": "a.txt\t3\nb.txt\t4\n"},
    ]});
    let answer = post(&server, CHAT, &body).await;
    assert!(answer.contains("inventory.md") && answer.contains(r"a.txt\\nb.txt\\n"), "{answer}");
}
