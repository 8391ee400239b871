//! What a request says, in one form for all dialects: who said what, in order.
//!
//! Read by hand from each wire in `wire/`; ids and formatting are left out, so that two requests for the same
//! answer are the same conversation.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A request as the script sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// The model that was asked for.
    pub model: String,
    /// Everything said so far.
    pub items: Vec<Item>,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// Rules.
    System(String),
    /// The person's words.
    User(String),
    /// The model's words.
    Assistant(String),
    /// A call that the model asked for: name and arguments.
    Call(String, String),
    /// What a tool gave back.
    ToolResult(String),
}

impl Item {
    fn is_answer(&self) -> bool {
        matches!(self, Item::Assistant(_) | Item::Call(..))
    }
}

impl Conversation {
    /// What the person said last; empty when nothing.
    pub fn last_user_text(&self) -> &str {
        let last = self.items.iter().rev().find_map(|item| match item {
            Item::User(text) => Some(text.as_str()),
            Item::System(_) | Item::Assistant(_) | Item::Call(..) | Item::ToolResult(_) => None,
        });
        last.unwrap_or_default()
    }

    /// All rules joined.
    pub fn system_text(&self) -> String {
        let texts = self.items.iter().filter_map(|item| match item {
            Item::System(text) => Some(text.as_str()),
            Item::User(_) | Item::Assistant(_) | Item::Call(..) | Item::ToolResult(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// How many answers the model has given since the last user text. Items of one answer stand together.
    pub fn step(&self) -> usize {
        let recent = self.since_user();
        let begins_answer = |at: usize| recent[at].is_answer() && (at == 0 || !recent[at - 1].is_answer());
        (0..recent.len()).filter(|&at| begins_answer(at)).count()
    }

    /// What tools gave since the last user text, oldest first.
    pub fn recent_tool_results(&self) -> Vec<&str> {
        let results = self.since_user().iter().filter_map(|item| match item {
            Item::ToolResult(text) => Some(text.as_str()),
            Item::System(_) | Item::User(_) | Item::Assistant(_) | Item::Call(..) => None,
        });
        results.collect()
    }

    /// Names this conversation: the same for the same words, whatever the ids on the wire.
    pub fn key(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.items.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// A rough count of tokens: four bytes each.
    pub fn rough_tokens(&self) -> u64 {
        let bytes: usize = self.items.iter().map(Item::len).sum();
        (bytes as u64).div_ceil(4).max(1)
    }

    fn since_user(&self) -> &[Item] {
        let after = self
            .items
            .iter()
            .rposition(|item| matches!(item, Item::User(_)))
            .map_or(0, |at| at + 1);
        &self.items[after..]
    }
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Item::System(text) | Item::User(text) | Item::Assistant(text) | Item::ToolResult(text) => text.len(),
            Item::Call(name, arguments) => name.len() + arguments.len(),
        }
    }
}
