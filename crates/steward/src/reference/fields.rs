//! Fields of JSON schemas: their types in words, their defaults, tables of them.

use serde_json::{Map, Value};

use super::cell;

/// The schema that a reference leads to, or the schema itself. `null` beside a type says only that a field may be left out.
pub(super) fn resolve<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    if let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        return document.pointer(path).map_or(schema, |found| resolve(found, document));
    }
    match only_choice(schema) {
        Some(choice) => resolve(choice, document),
        None => schema,
    }
}

/// Of "this or null", this.
fn only_choice(schema: &Value) -> Option<&Value> {
    let choices = schema["anyOf"].as_array()?;
    let mut real = choices.iter().filter(|choice| choice["type"] != "null");
    real.next().filter(|_| real.next().is_none())
}

/// The fields of an object; of one that has several forms, the fields of all.
pub(super) fn fields_of(schema: &Value) -> Map<String, Value> {
    let mut all = schema["properties"].as_object().cloned().unwrap_or_default();
    for form in schema["oneOf"].as_array().into_iter().flatten() {
        for (name, field) in form["properties"].as_object().into_iter().flatten() {
            all.entry(name.clone())
                .and_modify(|known| join_constants(known, field))
                .or_insert_with(|| field.clone());
        }
    }
    all
}

/// The field that tells the forms apart takes the constant of each.
fn join_constants(known: &mut Value, field: &Value) {
    let constants: Vec<Value> = words(known).into_iter().chain(words(field)).map(Value::from).collect();
    if !constants.is_empty() {
        *known = serde_json::json!({"enum": constants, "description": known["description"]});
    }
}

/// The words that a text may be, where they are fixed.
pub(super) fn words(schema: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(one) = text(&schema["const"]) {
        return vec![one];
    }
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(text);
    let forms = schema["oneOf"].as_array().into_iter().flatten();
    let is_object = |form: &&Value| form["properties"].is_object();
    listed.chain(forms.filter(|form| !is_object(form)).flat_map(words)).collect()
}

/// A type in words.
pub(super) fn type_in_words(schema: &Value, document: &Value) -> String {
    let schema = resolve(schema, document);
    let words = words(schema);
    if !words.is_empty() {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices
            .iter()
            .map(|choice| type_in_words(choice, document))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    let first = schema["type"].as_array().and_then(|types| types.iter().find(|one| *one != "null"));
    match first.unwrap_or(&schema["type"]).as_str() {
        Some("string") if schema["format"] == "decimal" => "decimal text".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => format!("list of {}", type_in_words(&schema["items"], document)),
        Some("object") if schema["additionalProperties"].is_object() => "table by name".to_owned(),
        Some("object") => "table".to_owned(),
        _ if schema["oneOf"].is_array() => "table".to_owned(),
        _ => "any".to_owned(),
    }
}

/// The default as it would be written; nothing where a field has none, or where its own fields have theirs.
pub(super) fn default_of(field: &Value, document: &Value) -> String {
    let default = field.get("default").or_else(|| resolve(field, document).get("default"));
    match default {
        None | Some(Value::Null | Value::Object(_)) => String::new(),
        Some(value) => format!("`{value}`"),
    }
}

/// What a field means: its own words, else its type's; then what its fixed words mean.
pub(super) fn meaning(field: &Value, document: &Value) -> String {
    let target = resolve(field, document);
    let own = field["description"]
        .as_str()
        .or_else(|| target["description"].as_str())
        .unwrap_or_default();
    let forms = target["oneOf"].as_array().into_iter().flatten();
    let explained = forms.filter_map(|form| {
        let word = form["const"].as_str()?;
        let about = form["description"].as_str()?;
        Some(format!(" `{word}`: {about}"))
    });
    cell(&format!("{own}{}", explained.collect::<String>()))
}
