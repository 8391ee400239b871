//! Every call of the HTTP interface, from its OpenAPI document.

use std::fmt::Write as _;

use serde_json::Value;

use super::fields::{fields_of, meaning, type_in_words, words};
use super::head;

/// The page.
pub(super) fn text(document: &Value) -> String {
    let mut page = head(
        "HTTP",
        "The inference endpoints speak their vendors' dialects. Everything else is JSON: money is a decimal text in US dollars, times are RFC 3339 in UTC. \
         A key is sent as `Authorization: Bearer KEY`, `x-api-key` or `x-goog-api-key`. `GET /api/openapi.json` is this page for programs.",
    );
    page.push_str("\n## Calls\n");
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, call) in methods.as_object().into_iter().flatten() {
            let _ = write!(
                page,
                "\n### `{} {path}`\n\n{}\n",
                method.to_uppercase(),
                text_of_call(call, document)
            );
        }
    }
    page.push_str("\n## Shapes\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let about = schema["description"].as_str().unwrap_or_default();
        let _ = write!(page, "\n### {name}\n\n{about}\n");
        page.push_str(&fields(schema, document));
    }
    page
}

fn text_of_call(call: &Value, document: &Value) -> String {
    let access = match call["x-steward-access"].as_str() {
        Some("open") | None => "No key is needed".to_owned(),
        Some(right) => format!("Needs the right to `{right}`"),
    };
    let summary = call["summary"].as_str().unwrap_or_default();
    let stop = if summary.ends_with('?') { "" } else { "." };
    let mut text = format!("{summary}{stop} {access}.\n");
    let queries = call["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query");
    for query in queries {
        let (name, kind) = (
            query["name"].as_str().unwrap_or_default(),
            type_in_words(&query["schema"], document),
        );
        let _ = write!(
            text,
            "\n- query `{name}`: {kind}. {}",
            query["description"].as_str().unwrap_or_default()
        );
    }
    let body = &call["requestBody"]["content"]["application/json"]["schema"];
    if body.is_object() {
        let _ = write!(text, "\n- takes {}", shape(body, document));
    }
    let given = &call["responses"]["200"]["content"];
    let gives = if call["responses"]["204"].is_object() {
        "nothing".to_owned()
    } else if given["text/event-stream"].is_object() {
        format!(
            "server-sent events, each {}",
            shape(&given["text/event-stream"]["schema"], document)
        )
    } else {
        shape(&given["application/json"]["schema"], document)
    };
    let _ = write!(text, "\n- gives {gives}");
    text
}

/// A shape by its name with a link, or in words.
fn shape(schema: &Value, document: &Value) -> String {
    if schema["type"] == "array" {
        return format!("a list of {}", shape(&schema["items"], document));
    }
    match schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        Some(name) => format!("[{name}](#{})", name.to_lowercase()),
        None if schema.is_boolean() => "a document that another standard describes".to_owned(),
        None => type_in_words(schema, document),
    }
}

fn fields(schema: &Value, document: &Value) -> String {
    let fields = fields_of(schema);
    if fields.is_empty() {
        let words: Vec<String> = words(schema).iter().map(|word| format!("`{word}`")).collect();
        return format!("\nOne of {}.\n", words.join(", "));
    }
    let mut table = "\n| field | type | meaning |\n| --- | --- | --- |\n".to_owned();
    for (name, field) in fields {
        let kind = field_type(&field, document);
        let _ = writeln!(table, "| `{name}` | {kind} | {} |", meaning(&field, document));
    }
    table
}

/// The type of a field; shapes of several fields by name.
fn field_type(field: &Value, document: &Value) -> String {
    let choices = field["anyOf"].as_array().into_iter().flatten();
    let target = choices.chain([field, &field["items"]]).find(|choice| choice["$ref"].is_string());
    let named = target.filter(|target| {
        let pointer = target["$ref"].as_str().and_then(|path| path.strip_prefix('#')).unwrap_or_default();
        document.pointer(pointer).is_some_and(|schema| !fields_of(schema).is_empty())
    });
    match named {
        Some(target) if field["type"] == "array" => format!("list of {}", shape(target, document)),
        Some(target) => shape(target, document),
        None => type_in_words(field, document),
    }
}
