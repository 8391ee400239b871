use std::collections::BTreeSet;

use serde_json::Value;

use super::{Answer, Writer, document};
use crate::routes;

#[test]
fn a_type_that_is_taken_and_given_has_one_shape() {
    let mut writer = Writer::new();
    for route in routes::all() {
        for call in &route.calls {
            writer.call(&route, call);
        }
    }
    let (taken, given) = (writer.taken.take_definitions(true), writer.given.take_definitions(true));
    for (name, schema) in &taken {
        assert!(given.get(name).is_none_or(|other| other == schema), "{name} has two shapes");
    }
}

/// Every name that a document refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn everything_that_is_referred_to_is_there() {
    let document = document();
    let mut names = BTreeSet::new();
    references(&document, &mut names);
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let pointer = name.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{name} is nowhere");
    }
}

#[test]
fn every_call_of_the_api_says_what_it_gives() {
    for route in routes::all().into_iter().filter(|route| route.path.starts_with("/api/")) {
        for call in &route.calls {
            let is_foreign = matches!(call.answer, Answer::Foreign);
            let is_other_standard = ["/api/openapi.json", "/api/config/schema"].contains(&route.path);
            assert_eq!(is_foreign, is_other_standard, "{} {}", call.method, route.path);
        }
    }
}
