//! Makes a short prompt of a long request: small models read slowly and lose the thread in many words.
//!
//! The rules are cut to their beginning, tools are not described, old messages go first. The newest message is never cut.

use steward_domain::message::{Message, Part, Role};

use super::tokens::Tokens;

/// A tool's result is cut to this many letters.
const RESULT_CHARS: usize = 800;
/// What a model is told that is told nothing else.
const PLAIN_RULES: &str = "You are a helpful assistant. Answer in a few plain sentences.";

/// How much of a request is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// All of the prompt, in tokens.
    pub(crate) prompt_tokens: usize,
    /// The rules, in letters.
    pub(crate) system_chars: usize,
}

/// The prompt for a whole conversation.
pub(crate) fn conversation(messages: &[Message], tokens: &Tokens, budget: Budget) -> candle_core::Result<Vec<u32>> {
    let rules: Vec<String> = messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(Message::joined_text)
        .collect();
    let rules = match condense(&rules.join("\n\n"), budget.system_chars) {
        short if short.is_empty() => PLAIN_RULES.to_owned(),
        short => short,
    };
    let mut spoken: Vec<(&'static str, String)> = Vec::new();
    for message in messages.iter().filter(|message| message.role != Role::System) {
        let (role, text) = spoken_of(message);
        match spoken.last_mut() {
            _ if text.trim().is_empty() => {}
            Some((last, before)) if *last == role => {
                before.push_str("\n\n");
                before.push_str(&text);
            }
            Some(_) | None => spoken.push((role, text)),
        }
    }
    loop {
        let ids = chat(&rules, &spoken, tokens)?;
        if ids.len() <= budget.prompt_tokens || spoken.len() <= 1 {
            return Ok(ids);
        }
        spoken.remove(0);
    }
}

/// The prompt for one question with its material.
pub(crate) fn question(rules: &str, question: &str, material: &str, tokens: &Tokens) -> candle_core::Result<Vec<u32>> {
    let material = shorten(material, RESULT_CHARS * 2);
    let text = if material.is_empty() {
        question.to_owned()
    } else {
        format!("{material}\n\n{question}")
    };
    chat(rules, &[("user", text)], tokens)
}

fn chat(rules: &str, spoken: &[(&'static str, String)], tokens: &Tokens) -> candle_core::Result<Vec<u32>> {
    let all: Vec<(&str, &str)> = std::iter::once(("system", rules))
        .chain(spoken.iter().map(|(role, text)| (*role, text.as_str())))
        .collect();
    tokens.encode_chat(&all)
}

fn spoken_of(message: &Message) -> (&'static str, String) {
    let role = match message.role {
        Role::Assistant => "assistant",
        Role::User | Role::System => "user",
    };
    let mut lines = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text, .. } => lines.push(text.clone()),
            Part::ToolCall(call) => lines.push(format!("({} {})", call.name, shorten(&call.arguments, 200))),
            Part::ToolResult { name, content, .. } => {
                let texts: Vec<&str> = content.iter().filter_map(text_of).collect();
                lines.push(format!("Result of {name}:\n{}", shorten(&texts.join("\n"), RESULT_CHARS)));
            }
            Part::Image { .. } | Part::File { .. } | Part::Thinking { .. } | Part::Opaque { .. } => {}
        }
    }
    (role, lines.join("\n"))
}

fn text_of(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, .. } => Some(text),
        Part::Image { .. }
        | Part::File { .. }
        | Part::Thinking { .. }
        | Part::ToolCall(_)
        | Part::ToolResult { .. }
        | Part::Opaque { .. } => None,
    }
}

/// The beginning of a text up to the last end of a sentence or line that fits.
pub(crate) fn condense(text: &str, chars: usize) -> String {
    let text = text.trim();
    let cut = cut_at(text, chars);
    if cut.len() == text.len() {
        return text.to_owned();
    }
    let end = cut.rfind('\n').max(cut.rfind(". ").map(|at| at + 1)).unwrap_or(cut.len());
    cut[..end].trim_end().to_owned()
}

/// The beginning of a text, with a mark where it was cut.
pub(crate) fn shorten(text: &str, chars: usize) -> String {
    let text = text.trim_end();
    let cut = cut_at(text, chars);
    if cut.len() == text.len() {
        text.to_owned()
    } else {
        format!("{cut} \u{2026}")
    }
}

fn cut_at(text: &str, chars: usize) -> &str {
    match text.char_indices().nth(chars) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

#[cfg(test)]
mod tests;
