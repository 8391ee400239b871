//! Fields of one dialect that the domain does not know. They travel in `extra` under a mark that says whose they are.
//!
//! Fields without a mark, or with another dialect's, are never sent.

use serde_json::{Map, Value};

use crate::Dialect;

/// The key of the mark.
pub const MARK: &str = "__dialect";

/// Marks the fields as `dialect`'s. An empty map stays empty.
pub fn mark(fields: &mut Map<String, Value>, dialect: Dialect) {
    if !fields.is_empty() {
        fields.insert(MARK.to_owned(), Value::from(dialect.name()));
    }
}

/// Are the fields `dialect`'s?
pub fn belongs_to(fields: &Map<String, Value>, dialect: Dialect) -> bool {
    fields.get(MARK).and_then(Value::as_str) == Some(dialect.name())
}

/// The fields that `dialect` may see: all but the mark, or none.
pub fn fields_for(fields: &Map<String, Value>, dialect: Dialect) -> impl Iterator<Item = (&String, &Value)> {
    let is_ours = belongs_to(fields, dialect);
    fields.iter().filter(move |(key, _)| is_ours && key.as_str() != MARK)
}

/// Adds the fields that `dialect` may see, without touching those already there.
pub(crate) fn add_to(body: &mut Map<String, Value>, fields: &Map<String, Value>, dialect: Dialect) {
    for (key, value) in fields_for(fields, dialect) {
        if !body.contains_key(key) {
            body.insert(key.clone(), value.clone());
        }
    }
}
