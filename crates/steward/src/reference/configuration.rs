//! Every key of `steward.toml`, from the schema of its types.

use std::fmt::Write as _;

use serde_json::Value;

use super::fields::{default_of, fields_of, meaning, resolve, type_in_words};
use super::head;

/// The page.
pub(super) fn text(schema: &Value) -> String {
    let mut page = head(
        "Configuration",
        "`steward.toml` lies in the home folder. It is read again when it changes; an invalid edit is refused whole and the last good one stays. \
         `NAME` stands for a name of your own. `steward config check` checks a file, `steward config schema` prints the schema this page is made of.",
    );
    for (name, field) in fields_of(schema) {
        table(&mut page, &name, Brackets::One, &field, schema);
    }
    page
}

/// A table of the file, or one entry of a list of tables.
#[derive(Clone, Copy)]
enum Brackets {
    One,
    Two,
}

/// A section for a table and one for each table in it.
fn table(page: &mut String, path: &str, brackets: Brackets, field: &Value, document: &Value) {
    let schema = resolve(field, document);
    if schema["additionalProperties"].is_object() {
        return table(
            page,
            &format!("{path}.NAME"),
            brackets,
            &with_words(&schema["additionalProperties"], field),
            document,
        );
    }
    let heading = match brackets {
        Brackets::One => format!("[{path}]"),
        Brackets::Two => format!("[[{path}]]"),
    };
    let _ = write!(page, "\n## `{heading}`\n\n{}\n", meaning(field, document));
    page.push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut inner = Vec::new();
    for (name, field) in fields_of(schema) {
        let default = if required.contains(&Value::from(name.as_str())) {
            "required".to_owned()
        } else {
            default_of(&field, document)
        };
        let (kind, about) = (type_in_words(&field, document), meaning(&field, document));
        let _ = writeln!(page, "| `{name}` | {kind} | {default} | {about} |");
        inner.extend(inner_table(&field, document).map(|(brackets, schema)| (name, brackets, schema)));
    }
    for (name, brackets, schema) in inner {
        table(page, &format!("{path}.{name}"), brackets, &schema, document);
    }
}

/// The table that a field holds, once or in a list.
fn inner_table(field: &Value, document: &Value) -> Option<(Brackets, Value)> {
    let schema = resolve(field, document);
    let item = resolve(&schema["items"], document);
    if !fields_of(schema).is_empty() || schema["additionalProperties"].is_object() {
        return Some((Brackets::One, field.clone()));
    }
    let is_list_of_tables = !fields_of(item).is_empty();
    is_list_of_tables.then(|| (Brackets::Two, with_words(&schema["items"], field)))
}

/// A schema with the description of the field that holds it.
fn with_words(schema: &Value, field: &Value) -> Value {
    let mut schema = schema.clone();
    schema["description"] = field["description"].clone();
    schema
}
