//! Streams as providers send them, what they mean, and a request with everything in it. Shared by the tests; never part of a build.

use serde_json::{Value, json};
use steward_domain::id::CallId;
use steward_domain::message::{MediaSource, Message, Part, Role, ToolCall};
use steward_domain::model::{Answerer, Finish, FinishReason, ModelEvent, ModelRequest, ToolDefinition};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use crate::Dialect;
use crate::egress::{EncodedRequest, Quirks, StreamDecoder};

/// Every transition between text, thinking and tools, with two parallel calls, in OpenAI chat.
pub(crate) const OPENAI_CHAT: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    r#"data: {"id":"c1","choices":[]}"#,
    "\n\n",
    r#"data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"content":"Grüß "}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"content":"Gott 🌍"}}]}"#,
    "\r\n\r\n",
    r#"data: {"choices":[{"index":0,"delta":{"reasoning_content":"think"}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.text","index":0,"text":"think","signature":"sig1"}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"read","arguments":""}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"read","arguments":"{\"path\":"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"a\"}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"list","arguments":"{}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{"content":"done"}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\n",
    r#"data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":10}}}"#,
    "\n\n",
    "data: [DONE]\n\n",
);

/// The same in Anthropic's form, with a ping and a second `message_start`.
pub(crate) const ANTHROPIC: &str = concat!(
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"m","role":"assistant","content":[],"usage":{"input_tokens":60,"cache_read_input_tokens":40,"output_tokens":1}}}"#,
    "\n\n",
    "event: message_start\n",
    r#"data: {"type":"message_start","message":{"id":"m","role":"assistant","content":[],"usage":{"input_tokens":0,"output_tokens":0}}}"#,
    "\n\n",
    "event: ping\n",
    r#"data: {"type":"ping"}"#,
    "\n\n",
    r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüß "}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Gott 🌍"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_stop","index":0}"#,
    "\n\n",
    r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"think"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"sig1"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_stop","index":1}"#,
    "\n\n",
    r#"data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_a","name":"read","input":{}}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"path\":"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"a\"}"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_stop","index":2}"#,
    "\n\n",
    r#"data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"call_b","name":"list","input":{}}}"#,
    "\n\n",
    r#"data: {"type":"content_block_stop","index":3}"#,
    "\n\n",
    r#"data: {"type":"content_block_start","index":4,"content_block":{"type":"text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"done"}}"#,
    "\n\n",
    r#"data: {"type":"content_block_stop","index":4}"#,
    "\n\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":30,"output_tokens_details":{"thinking_tokens":10}}}"#,
    "\n\n",
    r#"data: {"type":"message_stop"}"#,
    "\n\n",
);

/// The same in the form of OpenAI responses.
pub(crate) const OPENAI_RESPONSES: &str = concat!(
    "event: response.created\n",
    r#"data: {"type":"response.created","response":{"id":"r","status":"in_progress"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"Grüß "}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"Gott 🌍"}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.done","output_index":0,"text":"Grüß Gott 🌍"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"Grüß Gott 🌍","annotations":[]}]}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":1,"item":{"type":"reasoning","summary":[]}}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_part.added","output_index":1,"summary_index":0,"part":{"type":"summary_text","text":""}}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_text.delta","output_index":1,"summary_index":0,"delta":"think"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":1,"item":{"type":"reasoning","summary":[{"type":"summary_text","text":"think"}],"encrypted_content":"sig1"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"call_a","name":"read","arguments":""}}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"path\":"}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"\"a\"}"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"call_a","name":"read","arguments":"{\"path\":\"a\"}"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":3,"item":{"type":"function_call","call_id":"call_b","name":"list","arguments":"{}"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_text.delta","output_index":4,"delta":"done"}"#,
    "\n\n",
    r#"data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":40},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":10}}}}"#,
    "\n\n",
);

/// The same in Gemini's form. Arguments come whole, and ids are Gemini's own.
pub(crate) const GEMINI: &str = concat!(
    r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Grüß "}]}}],"usageMetadata":{"promptTokenCount":100}}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Gott 🌍"}]}}]}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":"think","thought":true,"thoughtSignature":"sig1"}]}}]}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"call_a","name":"read","args":{"path":"a"}},"thoughtSignature":"c2ln"}]}}]}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"call_b","name":"list","args":{}}},{"text":"done"}]}}]}"#,
    "\r\n\r\n",
    r#"data: {"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,"thoughtsTokenCount":10,"totalTokenCount":130}}"#,
    "\r\n\r\n",
);

/// The stream of a dialect.
pub(crate) fn stream_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => OPENAI_CHAT,
        Dialect::OpenAiResponses => OPENAI_RESPONSES,
        Dialect::Anthropic => ANTHROPIC,
        Dialect::Gemini => GEMINI,
    }
}

/// What every one of the streams means, but for how arguments are cut and where seals are kept.
pub(crate) fn meaning_of(dialect: Dialect) -> Vec<ModelEvent> {
    let (signature, pieces) = match dialect {
        Dialect::OpenAiChat | Dialect::Anthropic => ("sig1", vec!["{\"path\":", "\"a\"}"]),
        Dialect::OpenAiResponses => ("openai-responses:sig1", vec!["{\"path\":", "\"a\"}"]),
        Dialect::Gemini => ("gemini:sig1", vec!["{\"path\":\"a\"}"]),
    };
    let call_signature = (dialect == Dialect::Gemini).then(|| "c2ln".to_owned());
    let mut events = vec![
        ModelEvent::Text("Grüß ".to_owned()),
        ModelEvent::Text("Gott 🌍".to_owned()),
        ModelEvent::Thinking("think".to_owned()),
        ModelEvent::ThinkingSealed {
            signature: signature.to_owned(),
            is_redacted: false,
        },
        ModelEvent::ToolCallStarted {
            index: 0,
            id: CallId::from("call_a"),
            name: "read".to_owned(),
            signature: call_signature,
        },
    ];
    events.extend(pieces.into_iter().map(|piece| arguments(0, piece)));
    events.extend([
        ModelEvent::ToolCallStarted {
            index: 1,
            id: CallId::from("call_b"),
            name: "list".to_owned(),
            signature: None,
        },
        arguments(1, "{}"),
        ModelEvent::Text("done".to_owned()),
        finished(
            FinishReason::ToolCalls,
            Some(Usage {
                input: 60,
                cached_input: 40,
                output: 20,
                reasoning: 10,
                ..Usage::default()
            }),
        ),
    ]);
    events
}

pub(crate) fn arguments(index: usize, json: &str) -> ModelEvent {
    ModelEvent::ToolCallArguments {
        index,
        json: json.to_owned(),
    }
}

pub(crate) fn finished(reason: FinishReason, usage: Option<Usage>) -> ModelEvent {
    let usage_source = if usage.is_some() {
        UsageSource::Reported
    } else {
        UsageSource::Estimated
    };
    ModelEvent::Finished(Box::new(Finish {
        reason,
        usage: usage.unwrap_or_default(),
        usage_source,
        cost: Usd::ZERO,
    }))
}

pub(crate) fn started() -> ModelEvent {
    ModelEvent::Started(Answerer {
        target: "p/m".to_owned(),
        attempts: 1,
        ..Answerer::default()
    })
}

/// Decodes a stream that comes in one piece.
pub(crate) fn decode(dialect: Dialect, stream: &str) -> Vec<ModelEvent> {
    decode_in(dialect, stream.as_bytes(), stream.len().max(1))
}

/// Decodes a stream that comes in pieces of `size` bytes.
pub(crate) fn decode_in(dialect: Dialect, stream: &[u8], size: usize) -> Vec<ModelEvent> {
    let mut decoder = StreamDecoder::new(dialect, Quirks::default());
    let mut events: Vec<ModelEvent> = stream.chunks(size).flat_map(|piece| decoder.push(piece)).collect();
    events.extend(decoder.finish());
    events
}

/// Decodes chat chunks, each given as JSON.
pub(crate) fn decode_chat(chunks: &[&str]) -> Vec<ModelEvent> {
    let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    decode(Dialect::OpenAiChat, &stream)
}

pub(crate) fn json_of(request: &EncodedRequest) -> Value {
    serde_json::from_slice(&request.body).expect("a body is JSON")
}

/// A request with everything in it; every dialect's golden request is made from it.
pub(crate) fn full_request() -> ModelRequest {
    let call = |id: &str, name: &str| {
        Part::ToolCall(ToolCall {
            id: CallId::from(id),
            name: name.to_owned(),
            arguments: r#"{"path":"a"}"#.to_owned(),
            signature: None,
        })
    };
    let result = |id: &str, name: &str, content: Vec<Part>, is_error: bool| Part::ToolResult {
        call_id: CallId::from(id),
        name: name.to_owned(),
        content,
        is_error,
    };
    let image = Part::Image {
        source: MediaSource::Inline {
            media_type: "image/png".to_owned(),
            data: "aW1n".to_owned(),
        },
        detail: Some("low".to_owned()),
    };
    let file = Part::File {
        name: Some("a.pdf".to_owned()),
        source: MediaSource::Inline {
            media_type: "application/pdf".to_owned(),
            data: "cGRm".to_owned(),
        },
    };
    let thinking = Part::Thinking {
        text: "hm".to_owned(),
        signature: Some("sig1".to_owned()),
        is_redacted: false,
    };
    let system = Part::Text {
        text: "be brief".to_owned(),
        cache_control: Some(json!({ "type": "ephemeral" })),
    };
    let messages = vec![
        Message {
            role: Role::System,
            parts: vec![system],
        },
        Message {
            role: Role::User,
            parts: vec![Part::text("look"), image.clone(), file],
        },
        Message {
            role: Role::Assistant,
            parts: vec![thinking, Part::text("ok"), call("c1", "read"), call("c2", "list")],
        },
        Message {
            role: Role::User,
            parts: vec![
                result("c1", "read", vec![Part::text("one"), image], false),
                result("c2", "list", vec![Part::text("no")], true),
            ],
        },
    ];
    let mut request = ModelRequest::new("m", messages);
    let schema =
        json!({ "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"], "additionalProperties": false });
    request.tools = vec![ToolDefinition {
        name: "read".to_owned(),
        description: "reads".to_owned(),
        input_schema: schema,
        extra: serde_json::Map::new(),
    }];
    request.parallel_tool_calls = Some(false);
    request.max_output_tokens = Some(500);
    request.temperature = Some(0.5);
    request.stop = vec!["END".to_owned()];
    request
}

/// Random numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below the limit")
    }
}
