//! What providers answer beside conversations: vectors for texts, and counts of tokens.
//!
//! Both follow from the text alone, so that every test can say what it expects: see [`vector_of`] and [`tokens_of`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The vector of a text: its length, its first byte and its last byte, each as a fraction of 256.
pub fn vector_of(text: &str) -> [f32; 3] {
    let bytes = text.as_bytes();
    let byte = |at: Option<&u8>| f32::from(at.copied().unwrap_or_default()) / 256.0;
    [
        f32::from(u16::try_from(bytes.len()).unwrap_or(u16::MAX)) / 256.0,
        byte(bytes.first()),
        byte(bytes.last()),
    ]
}

/// The tokens of a text: its words.
pub fn tokens_of(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A call of this kind and who speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// `POST /v1/embeddings`
    OpenaiEmbeddings,
    /// `POST /v1/messages/count_tokens`
    AnthropicCount,
    /// `POST /v1beta/models/{model}:countTokens`
    GeminiCount,
    /// `POST /v1beta/models/{model}:embedContent`
    GeminiEmbed,
    /// `POST /v1beta/models/{model}:batchEmbedContents`
    GeminiBatch,
}

/// The answer to a body, or why the provider refuses it.
///
/// # Errors
/// What a real provider would refuse too, in words.
pub fn answer(aside: Aside, body: &Value) -> Result<Value, String> {
    match aside {
        Aside::OpenaiEmbeddings => openai_embeddings(body),
        Aside::AnthropicCount => {
            if !body["max_tokens"].is_null() || !body["stream"].is_null() {
                return Err("extra inputs are not permitted".into());
            }
            Ok(json!({ "input_tokens": tokens_of(&all_text(&body["messages"])) }))
        }
        Aside::GeminiCount => {
            let request = &body["generateContentRequest"];
            if !request["model"].is_string() {
                return Err("generateContentRequest.model is missing".into());
            }
            Ok(json!({ "totalTokens": tokens_of(&all_text(&request["contents"])) }))
        }
        Aside::GeminiEmbed => Ok(json!({ "embedding": { "values": vector_of(&all_text(&body["content"])) } })),
        Aside::GeminiBatch => {
            let requests = body["requests"].as_array().ok_or("requests is missing")?;
            let values = requests.iter().map(|request| match request["model"].is_string() {
                true => Ok(json!({ "values": vector_of(&all_text(&request["content"])) })),
                false => Err("requests[].model is missing".to_owned()),
            });
            Ok(json!({ "embeddings": values.collect::<Result<Vec<Value>, String>>()? }))
        }
    }
}

fn openai_embeddings(body: &Value) -> Result<Value, String> {
    let texts: Vec<String> = match &body["input"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or("input must be texts"))
            .collect::<Result<_, _>>()?,
        _ => return Err("input is missing".into()),
    };
    let item = |(index, text): (usize, &String)| {
        let vector = vector_of(text);
        let embedding = if body["encoding_format"] == "base64" {
            json!(STANDARD.encode(vector.map(f32::to_le_bytes).concat()))
        } else {
            json!(vector)
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    };
    let tokens: usize = texts.iter().map(|text| tokens_of(text)).sum();
    Ok(json!({
        "object": "list",
        "data": texts.iter().enumerate().map(item).collect::<Vec<_>>(),
        "model": body["model"],
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
}

/// Every string under a key `text` or `content`, one after the other.
fn all_text(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(all_text).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => ["content", "parts", "text"]
            .iter()
            .filter_map(|key| fields.get(*key))
            .map(all_text)
            .collect::<Vec<_>>()
            .join(" "),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}
