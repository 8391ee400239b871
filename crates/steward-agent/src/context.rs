//! What the model sees: rules and workspace files first and unchanged, then history, then the new messages.
//!
//! Every part has its own cap; what is cut is said, to the model and in the context record.

use steward_domain::journal::ContextPart;
use steward_domain::limits::TurnLimits;
use steward_domain::message::{Message, Role};
use steward_domain::model::ToolDefinition;

use crate::state::TurnState;
use crate::tokens;

const RULES: &str = include_str!("../prompts/rules.md");

/// A workspace file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceFile {
    /// Its name, such as `SOUL.md`.
    pub name: String,
    /// Its text; empty when it could not be read.
    pub text: String,
    /// What was wrong with it, for the person: not UTF-8, too large …
    pub trouble: Option<String>,
}

/// All that a turn's context is made of besides the turn itself.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// Workspace files in the order of the prompt.
    pub files: Vec<WorkspaceFile>,
    /// The checkpoint that stands for what was compacted away.
    pub checkpoint: Option<String>,
    /// Messages of earlier turns.
    pub history: Vec<Message>,
}

/// The stable front of every request of a turn, built once.
pub struct Prefix {
    /// The system message.
    pub system: Message,
    /// Its parts, for the record.
    pub parts: Vec<ContextPart>,
    /// Estimated tokens, tools included.
    pub tokens: u64,
}

/// Builds the front: rules, then the files within their caps, and counts the tools.
pub fn prefix(files: &[WorkspaceFile], tools: &[ToolDefinition], limits: &TurnLimits) -> Prefix {
    let mut text = RULES.trim_end().to_owned();
    let mut parts = vec![part("rules", &text, 0, 0, "")];
    let mut left_chars = limits.files_chars;
    for file in files {
        let cap = limits.file_chars.min(left_chars);
        let (kept, cut_chars) = cut(&file.text, cap);
        left_chars -= kept.chars().count();
        let trouble = file.trouble.clone().unwrap_or_default();
        if file.text.is_empty() && trouble.is_empty() {
            continue;
        }
        let section = section_of(&file.name, kept, cut_chars, &trouble);
        parts.push(part(&file.name, &section, cap, cut_chars, &trouble));
        text.push_str(&section);
    }
    let tool_tokens: u64 = tools.iter().map(tokens::of_definition).sum();
    parts.push(ContextPart {
        name: "tools".into(),
        tokens: tool_tokens,
        cap_chars: 0,
        cut_chars: 0,
        note: format!("{} tools", tools.len()),
    });
    let tokens = tokens::of_text(&text) + tool_tokens;
    Prefix {
        system: Message::text(Role::System, text),
        parts,
        tokens,
    }
}

fn section_of(name: &str, kept: &str, cut_chars: usize, trouble: &str) -> String {
    let mut section = format!("\n\n# {name}\n{}", kept.trim_end());
    if cut_chars > 0 {
        section.push_str(&format!(
            "\n[{cut_chars} characters of {name} are cut here; read the file for the rest]"
        ));
    }
    if !trouble.is_empty() {
        section.push_str(&format!("[{name}: {trouble}]"));
    }
    section
}

/// The messages of the next request.
pub fn messages(prefix: &Prefix, background: &Background, state: &TurnState) -> Vec<Message> {
    let mut messages = Vec::with_capacity(2 + background.history.len() + state.conversation.len());
    messages.push(prefix.system.clone());
    // A checkpoint made in this turn also stands for the history.
    match (&state.checkpoint, &background.checkpoint) {
        (Some(own), _) => messages.push(checkpoint_message(own)),
        (None, earlier) => {
            messages.extend(earlier.as_deref().map(checkpoint_message));
            messages.extend(background.history.iter().cloned());
        }
    }
    messages.extend(state.conversation.iter().cloned());
    messages
}

/// The record of what a request holds.
pub fn record(prefix: &Prefix, messages: &[Message], turn_messages: usize) -> Vec<ContextPart> {
    let mut parts = prefix.parts.clone();
    let after_system = messages.get(1..).unwrap_or_default();
    let split = after_system.len().saturating_sub(turn_messages);
    let (history, turn) = after_system.split_at(split);
    for (name, messages) in [("history", history), ("turn", turn)] {
        let tokens = messages.iter().map(tokens::of_message).sum();
        parts.push(ContextPart {
            name: name.into(),
            tokens,
            cap_chars: 0,
            cut_chars: 0,
            note: format!("{} messages", messages.len()),
        });
    }
    parts
}

fn checkpoint_message(summary: &str) -> Message {
    Message::text(Role::User, format!("[steward] Summary of the conversation so far:\n{summary}"))
}

fn part(name: &str, text: &str, cap_chars: usize, cut_chars: usize, note: &str) -> ContextPart {
    ContextPart {
        name: name.into(),
        tokens: tokens::of_text(text),
        cap_chars,
        cut_chars,
        note: note.into(),
    }
}

/// The first `cap` characters and how many were cut.
pub(crate) fn cut(text: &str, cap: usize) -> (&str, usize) {
    match text.char_indices().nth(cap) {
        None => (text, 0),
        Some((end, _)) => (&text[..end], text[end..].chars().count()),
    }
}

#[cfg(test)]
mod tests;
