use serde_json::json;
use steward_domain::message::{Message, Role};
use steward_domain::model::{FinishReason, ModelEvent, ModelRequest, ToolDefinition};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};
use steward_testkit::script::Reply;

use super::bench::{Bench, provider, server};

/// Text and a tool call, streamed through every dialect, cut into slices of seven bytes on the way.
async fn text_and_tool(dialect: &str, header: (&str, &str)) {
    let usage = Usage {
        input: 20,
        output: 9,
        ..Usage::default()
    };
    let mut reply = Reply::call("read", json!({"path": "größe.md"}));
    reply.text = "I look at it – 日本.".into();
    reply.usage = Some(usage);
    reply.slice_bytes = 7;
    let server = server([reply]).await;
    let bench = Bench::new(&provider("mock", dialect, &server));
    let mut request = ModelRequest::new("mock/m-1", vec![Message::text(Role::User, "what is in it?")]);
    request.tools.push(ToolDefinition {
        name: "read".into(),
        description: "reads a file".into(),
        input_schema: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        extra: serde_json::Map::new(),
    });
    let outcome = bench.ask_with(request).await;
    assert_eq!(outcome.text(), "I look at it – 日本.", "{dialect}");
    assert_eq!((outcome.answerer().target.as_str(), outcome.answerer().attempts), ("mock/m-1", 1));
    let arguments: String = outcome
        .events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCallArguments { index: 0, json } => Some(json.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&arguments).unwrap(),
        json!({"path": "größe.md"})
    );
    let finish = outcome.finish();
    assert_eq!(
        (finish.reason, finish.usage, finish.usage_source),
        (FinishReason::ToolCalls, usage, UsageSource::Reported)
    );
    assert_eq!(finish.cost, Usd::from_pico(20 + 2 * 9));
    let sent = &server.requests()[0];
    assert_eq!(sent.wire, dialect);
    assert_eq!(sent.headers.get(header.0).map(String::as_str), Some(header.1));
    assert_eq!(bench.ledger.booked().len(), 1);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn openai_chat_streams_text_and_a_tool_call() {
    text_and_tool("openai-chat", ("authorization", "Bearer key-of-mock")).await;
}

#[tokio::test]
async fn openai_responses_streams_text_and_a_tool_call() {
    text_and_tool("openai-responses", ("authorization", "Bearer key-of-mock")).await;
}

#[tokio::test]
async fn anthropic_streams_text_and_a_tool_call() {
    text_and_tool("anthropic", ("x-api-key", "key-of-mock")).await;
}

#[tokio::test]
async fn gemini_streams_text_and_a_tool_call() {
    text_and_tool("gemini", ("x-goog-api-key", "key-of-mock")).await;
}
