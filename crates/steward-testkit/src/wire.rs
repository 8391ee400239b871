//! The four provider wires, written by hand from the vendors' documentation.
//!
//! This never uses `steward-dialects`: what is tested there is tested against this.

pub mod anthropic;
pub mod aside;
pub mod gemini;
pub mod openai_chat;
pub mod openai_responses;

use serde_json::Value;
use steward_domain::usage::Usage;

use crate::conversation::Conversation;
use crate::script::{ErrorKind, Reply, ScriptedError};

/// A provider's wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wire {
    /// `POST /v1/chat/completions`
    OpenaiChat,
    /// `POST /v1/responses`
    OpenaiResponses,
    /// `POST /v1/messages`
    Anthropic,
    /// `POST /v1beta/models/{model}:generateContent`
    Gemini,
}

/// What the model says this time, before it is put on a wire.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Derived from the conversation, so that the same conversation gets the same ids.
    pub id: String,
    /// The model that answers.
    pub model: String,
    /// Pieces of thought.
    pub thinking: Vec<String>,
    /// Pieces of text.
    pub text: Vec<String>,
    /// Calls it asks for.
    pub calls: Vec<AnswerCall>,
    /// What it used.
    pub usage: Usage,
    /// It broke off at the output limit.
    pub is_truncated: bool,
}

/// A call in an answer.
#[derive(Clone, Debug)]
pub struct AnswerCall {
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as text.
    pub arguments: String,
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The `event:` line, where the wire has one.
    pub name: Option<String>,
    /// The `data:` line.
    pub data: String,
    /// It carries a piece of the answer, so it waits for the delay between pieces.
    pub is_content: bool,
    /// It carries a piece of text, so an endless reply repeats it.
    pub is_text: bool,
}

impl Event {
    /// An event around the content.
    pub fn frame(name: Option<&str>, data: &Value) -> Self {
        Event {
            name: name.map(str::to_owned),
            data: data.to_string(),
            is_content: false,
            is_text: false,
        }
    }

    /// An event with a piece of a thought or of a call's arguments.
    pub fn piece(name: Option<&str>, data: &Value) -> Self {
        Event {
            is_content: true,
            ..Event::frame(name, data)
        }
    }

    /// An event with a piece of text.
    pub fn text(name: Option<&str>, data: &Value) -> Self {
        Event {
            is_text: true,
            ..Event::piece(name, data)
        }
    }
}

/// What a client may ask of a stream beside the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// It wants a stream.
    pub is_stream: bool,
    /// It wants usage at the end of the stream (OpenAI chat).
    pub wants_usage: bool,
}

impl Wire {
    /// The name used in records and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Wire::OpenaiChat => "openai-chat",
            Wire::OpenaiResponses => "openai-responses",
            Wire::Anthropic => "anthropic",
            Wire::Gemini => "gemini",
        }
    }

    /// What the request says. `model` is the one in the path, where the wire has it there.
    ///
    /// # Errors
    /// A sentence that says which rule of the wire the request breaks.
    pub fn read(self, body: &Value, model: &str) -> Result<Conversation, String> {
        match self {
            Wire::OpenaiChat => openai_chat::read(body),
            Wire::OpenaiResponses => openai_responses::read(body),
            Wire::Anthropic => anthropic::read(body),
            Wire::Gemini => gemini::read(body, model),
        }
    }

    /// What the client asks of the stream.
    pub fn wishes(self, body: &Value) -> Wishes {
        Wishes {
            is_stream: body["stream"].as_bool().unwrap_or(false),
            wants_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        }
    }

    /// The answer in one piece.
    pub fn whole(self, answer: &Answer) -> Value {
        match self {
            Wire::OpenaiChat => openai_chat::whole(answer),
            Wire::OpenaiResponses => openai_responses::whole(answer),
            Wire::Anthropic => anthropic::whole(answer),
            Wire::Gemini => gemini::whole(answer),
        }
    }

    /// The answer as events.
    pub fn events(self, answer: &Answer, wishes: Wishes) -> Vec<Event> {
        match self {
            Wire::OpenaiChat => openai_chat::events(answer, wishes),
            Wire::OpenaiResponses => openai_responses::events(answer),
            Wire::Anthropic => anthropic::events(answer),
            Wire::Gemini => gemini::events(answer),
        }
    }

    /// The wire's error object.
    pub fn error_body(self, error: &ScriptedError) -> Value {
        if let Some(body) = &error.body {
            return body.clone();
        }
        let message = self.error_message(error);
        match self {
            Wire::OpenaiChat | Wire::OpenaiResponses => openai_chat::error_body(error, &message),
            Wire::Anthropic => anthropic::error_body(error, &message),
            Wire::Gemini => gemini::error_body(error, &message),
        }
    }

    /// The event that ends a stream which fails after it began.
    pub fn error_event(self, error: &ScriptedError) -> Event {
        let body = self.error_body(error);
        match self {
            Wire::OpenaiChat | Wire::Gemini => Event::frame(None, &body),
            Wire::OpenaiResponses => openai_responses::error_event(error, &body),
            Wire::Anthropic => Event::frame(Some("error"), &body),
        }
    }

    /// One server-sent event as it goes over the line.
    pub fn frame(self, event: &Event) -> String {
        let end = match self {
            Wire::OpenaiChat | Wire::OpenaiResponses | Wire::Anthropic => "\n",
            Wire::Gemini => "\r\n",
        };
        match &event.name {
            Some(name) => format!("event: {name}{end}data: {}{end}{end}", event.data),
            None => format!("data: {}{end}{end}", event.data),
        }
    }

    fn error_message(self, error: &ScriptedError) -> String {
        match (error.kind, self) {
            (ErrorKind::ContextTooLong, Wire::OpenaiChat | Wire::OpenaiResponses) => {
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.".to_owned()
            }
            (ErrorKind::ContextTooLong, Wire::Anthropic) => "prompt is too long: 201000 tokens > 200000 maximum".to_owned(),
            (ErrorKind::ContextTooLong, Wire::Gemini) => {
                "The input token count (1050000) exceeds the maximum number of tokens allowed (1048576).".to_owned()
            }
            (ErrorKind::ByStatus, _) => format!("scripted failure with status {}", error.status),
        }
    }
}

impl Answer {
    /// Puts a reply into words for one conversation.
    pub fn new(reply: &Reply, conversation: &Conversation) -> Self {
        let key = conversation.key();
        let calls = reply.tool_calls.iter().enumerate().map(|(index, call)| AnswerCall {
            id: format!("call_{key}{index:02}"),
            name: call.name.clone(),
            arguments: call.arguments.as_str().map_or_else(|| object_text(&call.arguments), str::to_owned),
        });
        let mut answer = Answer {
            id: key.clone(),
            model: conversation.model.clone(),
            thinking: reply
                .thinking
                .as_deref()
                .map(|text| pieces(text, reply.piece_chars))
                .unwrap_or_default(),
            text: pieces(&reply.text, reply.piece_chars),
            calls: calls.collect(),
            usage: Usage::default(),
            is_truncated: reply.is_truncated,
        };
        answer.usage = reply.usage.unwrap_or_else(|| Usage {
            input: conversation.rough_tokens(),
            output: (answer.text.len() + answer.calls.len() * 10).max(1) as u64,
            reasoning: answer.thinking.len() as u64,
            ..Usage::default()
        });
        answer
    }

    /// The text in one piece.
    pub fn joined_text(&self) -> String {
        self.text.concat()
    }

    /// The thought in one piece.
    pub fn joined_thinking(&self) -> String {
        self.thinking.concat()
    }
}

fn object_text(arguments: &Value) -> String {
    if arguments.is_null() {
        "{}".to_owned()
    } else {
        arguments.to_string()
    }
}

/// Cuts a text into pieces of `chars` characters, or into words that keep their blanks when `chars` is 0.
pub fn pieces(text: &str, chars: usize) -> Vec<String> {
    if chars == 0 {
        return text.split_inclusive([' ', '\n']).map(str::to_owned).collect();
    }
    let all: Vec<char> = text.chars().collect();
    all.chunks(chars).map(|piece| piece.iter().collect()).collect()
}

/// Text of a field that is a string or a list of blocks with `text`.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// A list field; absent counts as empty.
pub(crate) fn list_of(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A string field that must be there.
pub(crate) fn required<'a>(value: &'a Value, field: &str, place: &str) -> Result<&'a str, String> {
    value[field]
        .as_str()
        .ok_or_else(|| format!("{place}: missing required field '{field}'"))
}

#[cfg(test)]
mod tests;
