//! Is one answer as good as another to the same request? For shadows, and for semantic hits that are checked.
//!
//! Pure: compares forms and words, asks no judge.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use steward_domain::model::{AnswerFormat, FinishReason, ModelEvent, ModelRequest};

/// Free texts are alike from this similarity on. Two models seldom choose the same words, so this asks for common matter, not wording.
const ALIKE: f64 = 0.3;

/// Letters of a text that are compared.
const TEXT_LIMIT: usize = 20_000;

/// A whole answer, as far as it is compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Its tool calls: name and arguments as JSON text.
    pub calls: Vec<(String, String)>,
    /// How it ended; `None` when it failed.
    pub end: Option<FinishReason>,
}

impl Answer {
    /// Takes in one more event.
    pub fn take(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Text(text) if self.text.len() < TEXT_LIMIT => self.text.push_str(text),
            ModelEvent::ToolCallStarted { name, .. } => self.calls.push((name.clone(), String::new())),
            ModelEvent::ToolCallArguments { index, json } => {
                if let Some((_, arguments)) = self.calls.get_mut(*index) {
                    arguments.push_str(json);
                }
            }
            ModelEvent::Finished(finish) => self.end = Some(finish.reason),
            ModelEvent::Text(_)
            | ModelEvent::Started(_)
            | ModelEvent::Thinking(_)
            | ModelEvent::ThinkingSealed { .. }
            | ModelEvent::Opaque { .. }
            | ModelEvent::Failed(_) => {}
        }
    }

    /// Does it have the form that was asked for, and are its tool calls calls of tools there are, with arguments that fit?
    /// `None` where nothing was asked for that could be checked.
    pub fn is_valid(&self, request: &ModelRequest) -> Option<bool> {
        let form = match &request.format {
            AnswerFormat::Text => None,
            AnswerFormat::JsonObject => Some(json(&self.text).is_some_and(|value| value.is_object())),
            AnswerFormat::JsonSchema { schema, .. } => Some(json(&self.text).is_some_and(|value| fits(&value, schema, 0))),
        };
        // A tool call instead of the text has its own form.
        let form = form.filter(|_| self.calls.is_empty());
        let calls = (!self.calls.is_empty()).then(|| {
            self.calls.iter().all(|(name, arguments)| {
                let tool = request.tools.iter().find(|tool| tool.name == *name);
                tool.is_some_and(|tool| arguments_of(arguments).is_some_and(|value| fits(&value, &tool.input_schema, 0)))
            })
        });
        match (form, calls) {
            (None, None) => None,
            (form, calls) => Some(form.unwrap_or(true) && calls.unwrap_or(true)),
        }
    }
}

/// How a copy's answer compares with the one that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Parity {
    /// It has the form that was asked for; absent where none was.
    pub is_valid: Option<bool>,
    /// The same tools were called; absent where neither called one.
    pub same_tools: Option<bool>,
    /// … with the same arguments.
    pub same_arguments: Option<bool>,
    /// How alike the texts are, from 0 to 1; absent where neither has one.
    pub similarity: Option<f64>,
}

impl Parity {
    /// Compares a copy's answer with the one that was shown.
    pub fn of(request: &ModelRequest, shown: &Answer, copy: &Answer) -> Self {
        let has_calls = !shown.calls.is_empty() || !copy.calls.is_empty();
        let has_text = !shown.text.trim().is_empty() || !copy.text.trim().is_empty();
        Parity {
            is_valid: copy.is_valid(request),
            same_tools: has_calls.then(|| names(shown) == names(copy)),
            same_arguments: has_calls.then(|| calls(shown) == calls(copy)),
            // Beside tool calls the text is small talk.
            similarity: (has_text && !has_calls).then(|| similarity(&shown.text, &copy.text)),
        }
    }

    /// All in all: as good as the one that was shown?
    pub fn is_good(&self) -> bool {
        let is_alike = self.similarity.is_none_or(|similarity| similarity >= ALIKE);
        self.is_valid != Some(false) && self.same_tools != Some(false) && self.same_arguments != Some(false) && is_alike
    }
}

/// How alike two texts are: the cosine of the counts of their words, and of their JSON when both are JSON. Numbers weigh as words.
pub fn similarity(left: &str, right: &str) -> f64 {
    if let (Some(left), Some(right)) = (json(left), json(right))
        && (left.is_object() || left.is_array())
    {
        return if left == right {
            1.0
        } else {
            cosine(&words(&left.to_string()), &words(&right.to_string()))
        };
    }
    if left.trim() == right.trim() {
        return 1.0;
    }
    cosine(&words(left), &words(right))
}

/// The counts of a text's words. Short words say little and are in every text; they count only where there are no others.
fn words(text: &str) -> BTreeMap<String, f64> {
    let end = text.floor_char_boundary(TEXT_LIMIT.min(text.len()));
    let all = || {
        text[..end]
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
    };
    let is_telling = |word: &&str| word.chars().nth(3).is_some() || word.chars().any(|letter| !letter.is_ascii_alphabetic());
    let counts = counted(all().filter(is_telling));
    if counts.is_empty() { counted(all()) } else { counts }
}

fn counted<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.to_lowercase()).or_insert(0.0) += 1.0;
    }
    counts
}

fn cosine(left: &BTreeMap<String, f64>, right: &BTreeMap<String, f64>) -> f64 {
    let length = |counts: &BTreeMap<String, f64>| counts.values().map(|count| count * count).sum::<f64>().sqrt();
    let common: f64 = left
        .iter()
        .map(|(word, count)| count * right.get(word).copied().unwrap_or(0.0))
        .sum();
    let lengths = length(left) * length(right);
    if lengths == 0.0 { 0.0 } else { common / lengths }
}

fn names(answer: &Answer) -> Vec<&str> {
    let mut names: Vec<&str> = answer.calls.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

fn calls(answer: &Answer) -> Vec<(&str, Option<Value>)> {
    let mut calls: Vec<(&str, Option<Value>)> = answer
        .calls
        .iter()
        .map(|(name, arguments)| (name.as_str(), arguments_of(arguments)))
        .collect();
    calls.sort_by(|left, right| {
        left.0
            .cmp(right.0)
            .then_with(|| left.1.as_ref().map(Value::to_string).cmp(&right.1.as_ref().map(Value::to_string)))
    });
    calls
}

fn arguments_of(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).ok()
}

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim()).ok()
}

/// Does a value fit the parts of JSON Schema that models are held to: type, enum, const, required, properties, items? What is not known
/// here is taken to fit.
fn fits(value: &Value, schema: &Value, depth: usize) -> bool {
    const DEPTH_LIMIT: usize = 32;
    if depth > DEPTH_LIMIT {
        return true;
    }
    let is_type = match &schema["type"] {
        Value::String(name) => is_of(value, name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(|name| is_of(value, name)),
        _ => true,
    };
    let is_listed = schema["enum"].as_array().is_none_or(|allowed| allowed.contains(value));
    let is_constant = schema.get("const").is_none_or(|constant| constant == value);
    if !is_type || !is_listed || !is_constant {
        return false;
    }
    if let (Some(items), Some(list)) = (schema.get("items").filter(|items| items.is_object()), value.as_array()) {
        return list.iter().all(|item| fits(item, items, depth + 1));
    }
    let Some(object) = value.as_object() else { return true };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let has_all = required.into_iter().all(|name| object.contains_key(name));
    let properties = &schema["properties"];
    let is_closed = schema["additionalProperties"] == Value::Bool(false);
    has_all
        && object.iter().all(|(name, value)| match properties.get(name) {
            Some(schema) => fits(value, schema, depth + 1),
            None => !is_closed,
        })
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
