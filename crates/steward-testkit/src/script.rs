//! What a scripted model says: a list of replies and how one is chosen.
//!
//! By default the choice depends on the request alone, so that a client that was killed and asks again gets the same answer.
//! A script never looks at the wire: it sees a [`Conversation`], whatever the dialect.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use steward_domain::usage::Usage;

use crate::conversation::Conversation;
use crate::file_task;

/// Replies and how one is chosen. As JSON: `{"mode": "by_step", "replies": [{"text": "hello"}]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// How a reply is chosen.
    pub mode: Mode,
    /// The replies.
    pub replies: Vec<Reply>,
    /// What `GET /v1/models` lists.
    pub models: Vec<String>,
    /// When set, a request without this key is answered 401.
    pub require_key: Option<String>,
}

/// How a reply is chosen among those whose `match` is absent. Replies with a `match` come first, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// By the number of answers since the last user text: the same conversation always gets the same reply.
    #[default]
    #[serde(alias = "by_step")]
    ByStep,
    /// The next one with each request, whoever asks.
    Sequential,
    /// The built-in job: list the files, write their names to `inventory.md`, say so. `replies` is not used.
    #[serde(alias = "file_task")]
    FileTask,
}

/// One reply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// Only for requests like this.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<Match>,
    /// Serves at most this many requests, then is passed over.
    pub times: Option<u32>,
    /// The text of the answer.
    pub text: String,
    /// What it thinks before it answers.
    pub thinking: Option<String>,
    /// The tool calls it asks for.
    pub tool_calls: Vec<ScriptedCall>,
    /// What it says it used; counted roughly where absent.
    pub usage: Option<Usage>,
    /// The answer breaks off at the output limit.
    pub is_truncated: bool,
    /// It fails instead.
    pub error: Option<ScriptedError>,
    /// Milliseconds before the first byte.
    pub delay_first_ms: u64,
    /// Milliseconds before each piece of content.
    pub delay_token_ms: u64,
    /// The connection breaks after this many events.
    pub cut_after_events: Option<usize>,
    /// The text never ends; the client has to hang up. Streams only.
    pub endless: bool,
    /// Characters in a piece of text; 0 means a word.
    pub piece_chars: usize,
    /// Sends the body in slices of this many bytes, through characters and events alike; 0 means as they come.
    pub slice_bytes: usize,
}

/// A tool call that the scripted model asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// The tool's name.
    pub name: String,
    /// Its arguments. A string is sent as it is, also when it is no JSON.
    #[serde(default)]
    pub arguments: Value,
}

/// A failure in place of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScriptedError {
    /// HTTP status.
    pub status: u16,
    /// What went wrong, in the provider's words where they matter.
    pub kind: ErrorKind,
    /// The whole body, instead of the dialect's own error object.
    pub body: Option<Value>,
    /// Value of the `retry-after` header.
    pub retry_after: Option<String>,
    /// Answer 200, stream this many events, then send the dialect's error event.
    pub after_events: Option<usize>,
}

/// Kinds of failure with words of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// As the status says.
    #[default]
    ByStatus,
    /// The request does not fit the model's context.
    ContextTooLong,
}

/// Which requests a reply is for: a text that the last user text holds, or several conditions that must all be true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Match {
    /// The last user text holds this.
    UserText(String),
    /// All of these.
    All(Conditions),
}

/// Conditions on a request. An absent one is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// The last user text holds this.
    pub user_text: Option<String>,
    /// The system text holds this.
    pub system_text: Option<String>,
    /// Some tool result after the last user text holds this.
    pub tool_result: Option<String>,
    /// There is a tool result after the last user text.
    pub has_tool_result: Option<bool>,
    /// The number of answers since the last user text.
    pub step: Option<usize>,
    /// The model that was asked for.
    pub model: Option<String>,
}

impl Script {
    /// A script that goes by step.
    pub fn by_step(replies: impl IntoIterator<Item = Reply>) -> Self {
        Script {
            replies: replies.into_iter().collect(),
            ..Script::default()
        }
    }

    /// A script that gives one reply after the other.
    pub fn sequential(replies: impl IntoIterator<Item = Reply>) -> Self {
        Script {
            mode: Mode::Sequential,
            ..Script::by_step(replies)
        }
    }

    /// The built-in job of listing files into `inventory.md`.
    pub fn file_task() -> Self {
        Script {
            mode: Mode::FileTask,
            ..Script::default()
        }
    }

    /// Reads a script from a JSON file.
    ///
    /// # Errors
    /// When the file cannot be read or is no script.
    pub fn from_file(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl Reply {
    /// A plain answer.
    pub fn text(text: impl Into<String>) -> Self {
        Reply {
            text: text.into(),
            ..Reply::default()
        }
    }

    /// An answer that asks for one tool call.
    pub fn call(name: &str, arguments: Value) -> Self {
        Reply::calls([(name, arguments)])
    }

    /// An answer that asks for several tool calls at once.
    pub fn calls<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let tool_calls = calls.into_iter().map(|(name, arguments)| ScriptedCall {
            name: name.to_owned(),
            arguments,
        });
        Reply {
            tool_calls: tool_calls.collect(),
            ..Reply::default()
        }
    }

    /// A failure with an HTTP status.
    pub fn error(status: u16) -> Self {
        Reply {
            error: Some(ScriptedError {
                status,
                ..ScriptedError::default()
            }),
            ..Reply::default()
        }
    }

    /// This reply, only where the last user text holds `text`.
    pub fn when(self, text: impl Into<String>) -> Self {
        Reply {
            matches: Some(Match::UserText(text.into())),
            ..self
        }
    }

    /// This reply, only where `conditions` are true.
    pub fn when_all(self, conditions: Conditions) -> Self {
        Reply {
            matches: Some(Match::All(conditions)),
            ..self
        }
    }

    /// This reply, for at most `times` requests.
    pub fn at_most(self, times: u32) -> Self {
        Reply {
            times: Some(times),
            ..self
        }
    }
}

impl Match {
    fn is_met(&self, conversation: &Conversation) -> bool {
        match self {
            Match::UserText(text) => conversation.last_user_text().contains(text),
            Match::All(conditions) => conditions.are_met(conversation),
        }
    }
}

impl Conditions {
    fn are_met(&self, conversation: &Conversation) -> bool {
        let holds = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| text.contains(wanted));
        let results = conversation.recent_tool_results();
        holds(&self.user_text, conversation.last_user_text())
            && holds(&self.system_text, &conversation.system_text())
            && self
                .tool_result
                .as_ref()
                .is_none_or(|wanted| results.iter().any(|result| result.contains(wanted)))
            && self.has_tool_result.is_none_or(|wanted| wanted != results.is_empty())
            && self.step.is_none_or(|step| step == conversation.step())
            && self.model.as_ref().is_none_or(|model| *model == conversation.model)
    }
}

/// A script with what it has said so far.
#[derive(Debug)]
pub(crate) struct Playing {
    script: Script,
    served: Vec<u32>,
    next: usize,
}

impl Playing {
    pub(crate) fn new(script: Script) -> Self {
        Playing {
            served: vec![0; script.replies.len()],
            script,
            next: 0,
        }
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// The reply to a conversation.
    pub(crate) fn choose(&mut self, conversation: &Conversation) -> Reply {
        if self.script.mode == Mode::FileTask {
            return file_task::reply(conversation);
        }
        let chosen = self.matching(conversation).or_else(|| self.unmatched(conversation));
        let Some(index) = chosen else {
            return Reply::text("The script has no more replies.");
        };
        self.served[index] += 1;
        self.script.replies[index].clone()
    }

    fn is_used_up(&self, index: usize) -> bool {
        self.script.replies[index].times.is_some_and(|times| self.served[index] >= times)
    }

    fn matching(&self, conversation: &Conversation) -> Option<usize> {
        (0..self.script.replies.len()).find(|&index| {
            let matches = self.script.replies[index].matches.as_ref();
            !self.is_used_up(index) && matches.is_some_and(|matches| matches.is_met(conversation))
        })
    }

    /// Past the end the last reply is said again, unless it asks for tools: that would never end.
    fn unmatched(&mut self, conversation: &Conversation) -> Option<usize> {
        let plain: Vec<usize> = (0..self.script.replies.len())
            .filter(|&index| self.script.replies[index].matches.is_none() && !self.is_used_up(index))
            .collect();
        let position = match self.script.mode {
            Mode::Sequential => {
                self.next += 1;
                self.next - 1
            }
            Mode::ByStep | Mode::FileTask => conversation.step(),
        };
        if let Some(&index) = plain.get(position) {
            return Some(index);
        }
        plain
            .last()
            .copied()
            .filter(|&index| self.script.replies[index].tool_calls.is_empty())
    }
}

#[cfg(test)]
mod tests;
