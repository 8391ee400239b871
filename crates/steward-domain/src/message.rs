//! The content of a conversation, in a form every dialect can be turned into and back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::CallId;

/// Who a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Rules from the operator (OpenAI also calls it `developer`).
    System,
    /// The person or program that asks. Tool results ride in user messages too.
    User,
    /// The model.
    Assistant,
}

/// One message: a role and its parts in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who it is from.
    pub role: Role,
    /// What it holds, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Message {
            role,
            parts: vec![Part::text(text)],
        }
    }

    /// All its text parts joined, without thinking and tools.
    pub fn joined_text(&self) -> String {
        let texts: Vec<&str> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Text { text, .. } => Some(text.as_str()),
                Part::Image { .. }
                | Part::File { .. }
                | Part::Thinking { .. }
                | Part::ToolCall(_)
                | Part::ToolResult { .. }
                | Part::Opaque { .. } => None,
            })
            .collect();
        texts.join("")
    }
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// Where the caller asked the provider to put a prompt-cache mark, its value as it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache_control: Option<Value>,
    },
    /// An image.
    Image {
        /// Where its bytes are.
        source: MediaSource,
        /// OpenAI's `detail`, if the caller gave one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A document such as a PDF.
    File {
        /// Its name, if known.
        name: Option<String>,
        /// Where its bytes are.
        source: MediaSource,
    },
    /// What the model thought before it answered.
    Thinking {
        /// The thought; empty where the provider hides it.
        text: String,
        /// The provider's seal over it, to be sent back unchanged (Anthropic `signature`, Gemini `thoughtSignature`, OpenAI `encrypted_content`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// The thought is sealed whole (Anthropic `redacted_thinking`); `signature` holds the seal.
        #[serde(default)]
        is_redacted: bool,
    },
    /// A tool call that the model asks for.
    ToolCall(ToolCall),
    /// The answer to a tool call.
    ToolResult {
        /// Which call it answers.
        call_id: CallId,
        /// The tool's name; some dialects need it beside the id.
        name: String,
        /// What the tool gave.
        content: Vec<Part>,
        /// The call did not do what it should.
        is_error: bool,
    },
    /// A block that no one here understands, kept for the dialect it came from.
    Opaque {
        /// The dialect it belongs to, by its configuration name.
        dialect: String,
        /// The block as it came.
        value: Value,
    },
}

impl Part {
    /// A text part.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text {
            text: text.into(),
            cache_control: None,
        }
    }
}

/// Where the bytes of an image or a file are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum MediaSource {
    /// In the message, base64.
    Inline {
        /// The media type, such as `image/png`.
        media_type: String,
        /// The bytes in standard base64.
        data: String,
    },
    /// At an address the provider fetches.
    Url {
        /// The address.
        url: String,
    },
}

/// A tool call as the model wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The model's id for it; made by Steward where the dialect has none.
    pub id: CallId,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote them; it may be malformed.
    pub arguments: String,
    /// A seal that must come back with the call (Gemini `thoughtSignature`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}
