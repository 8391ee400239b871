//! The key of a request: a hash over all that can change its answer, in one canonical form.
//!
//! Left out is what cannot: prompt-cache marks, who the caller says he is, whether the answer is streamed. Objects are read in the order of
//! their names; every text has its length before it, so that no two requests run into one another.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use steward_domain::message::{MediaSource, Message, Part, Role};
use steward_domain::model::{AnswerFormat, ModelRequest, Reasoning, ToolChoice, ToolDefinition};

/// The key of a request.
pub(crate) type Key = [u8; 32];

/// Fields of a caller's dialect that do not change the answer.
const IDLE_FIELDS: [&str; 8] = [
    "user",
    "metadata",
    "stream",
    "stream_options",
    "store",
    "safety_identifier",
    "prompt_cache_key",
    "cache_control",
];

/// The key of a whole request within a scope.
pub(crate) fn of_whole(request: &ModelRequest, scope: &[String]) -> Key {
    let mut canon = Canon::begin("whole", scope);
    canon.messages(&request.messages);
    canon.rest(request);
    canon.key()
}

/// The key of a request without the text of its last message.
pub(crate) fn of_all_but_last(request: &ModelRequest, scope: &[String]) -> Key {
    let mut canon = Canon::begin("all but last", scope);
    canon.messages(request.messages.split_last().map_or(&[], |(_, before)| before));
    canon.rest(request);
    canon.key()
}

struct Canon(Sha256);

impl Canon {
    fn begin(form: &str, scope: &[String]) -> Self {
        let mut canon = Canon(Sha256::new());
        canon.text(form);
        canon.number(scope.len());
        for name in scope {
            canon.text(name);
        }
        canon
    }

    fn key(self) -> Key {
        self.0.finalize().into()
    }

    fn number(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text);
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.number(usize::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn float(&mut self, number: Option<f64>) {
        self.maybe(number.map(|number| number.to_string()).as_deref());
    }

    fn messages(&mut self, messages: &[Message]) {
        self.number(messages.len());
        for message in messages {
            self.text(match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            });
            self.parts(&message.parts);
        }
    }

    fn parts(&mut self, parts: &[Part]) {
        self.number(parts.len());
        for part in parts {
            self.part(part);
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text { text, cache_control: _ } => {
                self.text("text");
                self.text(text);
            }
            Part::Image { source, detail } => {
                self.text("image");
                self.media(source);
                self.maybe(detail.as_deref());
            }
            Part::File { name, source } => {
                self.text("file");
                self.maybe(name.as_deref());
                self.media(source);
            }
            Part::Thinking {
                text,
                signature,
                is_redacted,
            } => {
                self.text("thinking");
                self.text(text);
                self.maybe(signature.as_deref());
                self.number(usize::from(*is_redacted));
            }
            Part::ToolCall(call) => {
                self.text("call");
                self.text(call.id.as_str());
                self.text(&call.name);
                self.text(&call.arguments);
                self.maybe(call.signature.as_deref());
            }
            Part::ToolResult {
                call_id,
                name,
                content,
                is_error,
            } => {
                self.text("result");
                self.text(call_id.as_str());
                self.text(name);
                self.parts(content);
                self.number(usize::from(*is_error));
            }
            Part::Opaque { dialect, value } => {
                self.text("opaque");
                self.text(dialect);
                self.value(value);
            }
        }
    }

    fn media(&mut self, source: &MediaSource) {
        match source {
            MediaSource::Inline { media_type, data } => {
                self.text("inline");
                self.text(media_type);
                self.text(data);
            }
            MediaSource::Url { url } => {
                self.text("url");
                self.text(url);
            }
        }
    }

    /// Everything but the messages and the model, which the scope stands for.
    fn rest(&mut self, request: &ModelRequest) {
        self.number(request.tools.len());
        for tool in &request.tools {
            self.tool(tool);
        }
        match &request.tool_choice {
            ToolChoice::Auto => self.text("auto"),
            ToolChoice::None => self.text("none"),
            ToolChoice::Required => self.text("required"),
            ToolChoice::Named(name) => {
                self.text("named");
                self.text(name);
            }
        }
        self.maybe(
            request
                .parallel_tool_calls
                .map(|is_parallel| if is_parallel { "yes" } else { "no" }),
        );
        self.maybe(request.max_output_tokens.map(|tokens| tokens.to_string()).as_deref());
        self.float(request.temperature);
        self.float(request.top_p);
        self.number(request.stop.len());
        for stop in &request.stop {
            self.text(stop);
        }
        match &request.format {
            AnswerFormat::Text => self.text("text"),
            AnswerFormat::JsonObject => self.text("json"),
            AnswerFormat::JsonSchema { name, schema, is_strict } => {
                self.text("schema");
                self.text(name);
                self.value(schema);
                self.number(usize::from(*is_strict));
            }
        }
        match &request.reasoning {
            None => self.text("none"),
            Some(Reasoning::Effort(effort)) => {
                self.text("effort");
                self.text(effort);
            }
            Some(Reasoning::BudgetTokens(tokens)) => {
                self.text("budget");
                self.text(&tokens.to_string());
            }
        }
        self.object(&request.extra);
    }

    fn tool(&mut self, tool: &ToolDefinition) {
        self.text(&tool.name);
        self.text(&tool.description);
        self.value(&tool.input_schema);
        self.object(&tool.extra);
    }

    /// The fields of an object that change the answer, by name.
    fn object(&mut self, object: &Map<String, Value>) {
        let mut fields: Vec<(&String, &Value)> = object.iter().filter(|(name, _)| !IDLE_FIELDS.contains(&name.as_str())).collect();
        fields.sort_by_key(|(name, _)| *name);
        self.number(fields.len());
        for (name, value) in fields {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.text("null"),
            Value::Bool(is_true) => self.text(if *is_true { "true" } else { "false" }),
            Value::Number(number) => {
                self.text("number");
                self.text(&number.to_string());
            }
            Value::String(text) => {
                self.text("string");
                self.text(text);
            }
            Value::Array(items) => {
                self.text("array");
                self.number(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(object) => {
                self.text("object");
                let mut fields: Vec<(&String, &Value)> = object.iter().collect();
                fields.sort_by_key(|(name, _)| *name);
                self.number(fields.len());
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
            }
        }
    }
}
