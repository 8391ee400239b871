//! Probabilities of tokens, both ways. They travel in the form of chat, which two dialects share.

use serde_json::{Map, Value, json};

use crate::json::{list, text};

/// Gemini's result in the form of chat.
pub(crate) fn decode(result: &Value) -> Value {
    let top = list(result, "topCandidates");
    let chosen = list(result, "chosenCandidates").iter().enumerate();
    let content: Vec<Value> = chosen
        .map(|(index, candidate)| {
            let others = top.get(index).map_or(&[][..], |step| list(step, "candidates"));
            let mut entry = decode_entry(candidate);
            entry.insert(
                "top_logprobs".to_owned(),
                others.iter().map(|other| Value::Object(decode_entry(other))).collect(),
            );
            Value::Object(entry)
        })
        .collect();
    json!({ "logprobs": { "content": content } })
}

fn decode_entry(candidate: &Value) -> Map<String, Value> {
    let token = text(candidate, "token");
    let mut entry = Map::new();
    entry.insert("token".to_owned(), Value::from(token));
    entry.insert("logprob".to_owned(), candidate.get("logProbability").cloned().unwrap_or_default());
    entry.insert("bytes".to_owned(), Value::from(token.as_bytes()));
    entry
}

/// Chat's form as Gemini's result.
pub(crate) fn encode(logprobs: &Value) -> Value {
    let content = list(logprobs, "content");
    let chosen: Vec<Value> = content.iter().map(encode_entry).collect();
    let top: Vec<Value> = content
        .iter()
        .map(|entry| json!({ "candidates": list(entry, "top_logprobs").iter().map(encode_entry).collect::<Vec<Value>>() }))
        .collect();
    json!({ "topCandidates": top, "chosenCandidates": chosen })
}

fn encode_entry(entry: &Value) -> Value {
    json!({ "token": text(entry, "token"), "logProbability": entry.get("logprob").cloned().unwrap_or_default() })
}
