//! JSON Schemas for Gemini. Its older field takes a subset of OpenAPI and refuses unknown keywords; its newer one takes any JSON Schema.
//!
//! Plain schemas go into the older field, which every model and server knows, without the keywords it refuses.

use serde_json::{Map, Value};

/// Keywords of the older field.
const KNOWN: [&str; 21] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "anyOf",
    "propertyOrdering",
    "default",
];

/// Keywords that hold nothing for the older field to lose.
const DROPPED: [&str; 6] = ["$schema", "$id", "$comment", "additionalProperties", "examples", "strict"];

/// The schema for the older field; `None` when only the newer one can hold it.
pub(crate) fn simplify(schema: &Value) -> Option<Value> {
    let Value::Object(fields) = schema else { return None };
    let mut simple = Map::new();
    for (key, value) in fields {
        let kept = match key.as_str() {
            key if DROPPED.contains(&key) => continue,
            "type" if !value.is_string() => return None,
            "enum" if !value.as_array()?.iter().all(Value::is_string) => return None,
            "items" => simplify(value)?,
            "anyOf" => Value::Array(value.as_array()?.iter().map(simplify).collect::<Option<_>>()?),
            "properties" => simplify_properties(value)?,
            key if KNOWN.contains(&key) => value.clone(),
            _ => return None,
        };
        simple.insert(key.clone(), kept);
    }
    Some(Value::Object(simple))
}

fn simplify_properties(value: &Value) -> Option<Value> {
    let mut simple = Map::new();
    for (name, schema) in value.as_object()? {
        simple.insert(name.clone(), simplify(schema)?);
    }
    Some(Value::Object(simple))
}

/// Keywords whose numbers the older field writes as texts.
const COUNTS: [&str; 6] = ["minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"];

/// A schema of the older field as JSON Schema: types in lower case, `nullable` as a second type, counts as numbers.
pub(crate) fn to_json_schema(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else { return schema };
    super::decode_request::camel_keys(&mut fields);
    let is_nullable = fields.shift_remove("nullable").and_then(|flag| flag.as_bool()).unwrap_or(false);
    fields.shift_remove("propertyOrdering");
    let mut full = Map::new();
    for (key, value) in fields {
        let value = match (key.as_str(), value) {
            ("type", Value::String(word)) if is_nullable => serde_json::json!([word.to_ascii_lowercase(), "null"]),
            ("type", Value::String(word)) if word == "TYPE_UNSPECIFIED" => continue,
            ("type", Value::String(word)) => Value::from(word.to_ascii_lowercase()),
            ("properties", Value::Object(properties)) => {
                Value::Object(properties.into_iter().map(|(name, inner)| (name, to_json_schema(inner))).collect())
            }
            ("items" | "additionalProperties", inner) => to_json_schema(inner),
            ("anyOf", Value::Array(list)) => Value::Array(list.into_iter().map(to_json_schema).collect()),
            (key, Value::String(number)) if COUNTS.contains(&key) => number.parse::<u64>().map_or(Value::String(number), Value::from),
            (_, value) => value,
        };
        full.insert(key, value);
    }
    Value::Object(full)
}
