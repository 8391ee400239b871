//! The built-in job: "List the files here and write their names to inventory.md".
//!
//! It works like a model would: it lists, reads the names out of what the tool gave, writes them, and says so.

use serde_json::{Value, json};

use crate::conversation::Conversation;
use crate::script::Reply;

/// The reply at this point of the job.
pub fn reply(conversation: &Conversation) -> Reply {
    match conversation.step() {
        0 => Reply::call("list", json!({"path": "."})),
        1 => {
            let listing = conversation.recent_tool_results().join("\n");
            let content: String = names(&listing).iter().map(|name| format!("{name}\n")).collect();
            Reply::call("write", json!({"path": "inventory.md", "content": content}))
        }
        _ => Reply::text("I wrote the names of the files to inventory.md."),
    }
}

/// The file names in a listing: a JSON list, or one a line with a size behind it, or anything behind a tab, two spaces or a bracket.
pub fn names(listing: &str) -> Vec<String> {
    if let Ok(Value::Array(entries)) = serde_json::from_str(listing) {
        return entries.iter().filter_map(name_of).collect();
    }
    listing.lines().filter_map(name_in_line).collect()
}

fn name_of(entry: &Value) -> Option<String> {
    let name = entry
        .as_str()
        .or_else(|| entry.get("name")?.as_str())
        .or_else(|| entry.get("path")?.as_str());
    name.map(str::to_owned)
}

fn name_in_line(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("- ").trim_start_matches("* ");
    let is_fence = line.starts_with('<') || line.starts_with("```") || line.starts_with('[') || line.starts_with('(');
    if line.is_empty() || is_fence || line.ends_with(':') {
        return None;
    }
    let end = ["\t", "  ", " ("]
        .iter()
        .filter_map(|mark| line.find(mark))
        .min()
        .unwrap_or(line.len());
    let name = &line[..end];
    let is_size = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let without_size = name.rsplit_once(' ').filter(|(_, word)| is_size(word)).map(|(name, _)| name);
    Some(without_size.unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests;
