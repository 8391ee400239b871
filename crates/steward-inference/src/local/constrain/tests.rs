use serde_json::{Value, json};

use super::Acceptor;

fn check(schema: &Value, text: &str, is_wanted: bool) {
    let mut acceptor = Acceptor::new(schema);
    let is_whole = acceptor.push(text.as_bytes()) && acceptor.is_complete();
    assert_eq!(is_whole, is_wanted, "{text} for {schema}");
}

fn write_schema() -> Value {
    json!({"type": "object", "properties": {
        "path": {"type": "string"}, "content": {"type": "string"}, "mode": {"enum": ["new", "over"]}, "lines": {"type": "integer"},
    }, "required": ["path", "content"]})
}

#[test]
fn an_object_holds_its_required_properties_in_order() {
    let schema = write_schema();
    check(&schema, r#"{"path":"a.md","content":"x"}"#, true);
    check(&schema, r#"{"path":"a.md","content":"x","mode":"over"}"#, true);
    check(&schema, r#"{"path":"a.md","content":"x","lines":12}"#, true);
    check(&schema, r#"{"path":"a.md"}"#, false);
    check(&schema, r#"{"content":"x","path":"a.md"}"#, false);
    check(&schema, r#"{"path":"a.md","content":"x","mode":"other"}"#, false);
    check(&schema, r#"{"path":"a.md","content":"x","extra":1}"#, false);
}

#[test]
fn a_string_holds_escapes_and_whole_characters() {
    let schema = json!({"type": "string"});
    check(&schema, r#""a\"b\\n\u00e9""#, true);
    check(&schema, "\"gr\u{fc}n \u{20ac}\"", true);
    check(&schema, "\"two\nlines\"", false);
    check(&schema, r#""\x""#, false);
}

#[test]
fn numbers_arrays_and_choices_end_where_they_must() {
    check(&json!({"type": "integer"}), "-12", true);
    check(&json!({"type": "integer"}), "1.5", false);
    check(&json!({"type": "integer"}), "012", false);
    check(&json!({"type": "number"}), "1.5", true);
    check(&json!({"type": "number"}), "1.", false);
    check(
        &json!({"type": "array", "items": {"type": "integer"}, "minItems": 2}),
        "[1,22]",
        true,
    );
    check(&json!({"type": "array", "items": {"type": "integer"}, "minItems": 2}), "[1]", false);
    check(&json!({"anyOf": [{"type": "null"}, {"type": "boolean"}]}), "null", true);
    check(&json!({}), r#"{"a":[1,{"b":null}]}"#, true);
    check(&json!({"type": "object"}), r#"{"a":"b","c":2}"#, true);
    check(
        &json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}),
        r#"{"b":true}"#,
        true,
    );
}

#[test]
fn what_must_come_next_is_known_without_a_model() {
    let mut acceptor = Acceptor::new(&write_schema());
    assert_eq!(acceptor.forced(), br#"{"path":""#);
    assert!(acceptor.push(br#"{"path":"a""#));
    assert_eq!(acceptor.forced(), br#","content":""#);
    assert!(!acceptor.accepts(b"}"));
    assert!(acceptor.push(br#","content":"""#));
    assert_eq!(acceptor.forced(), b"");
}

#[test]
fn a_value_cut_anywhere_can_be_closed_to_valid_json() {
    let schema = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "size": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "inner": {"type": "object", "properties": {"is_on": {"type": "boolean"}}, "required": ["is_on"]},
    }, "required": ["name", "size", "tags", "inner"]});
    let whole = "{\"name\":\"a\\u00e9\u{20ac}\",\"size\":-1.5,\"tags\":[\"x\",\"y\"],\"inner\":{\"is_on\":true}}";
    for cut in 0..whole.len() {
        let mut acceptor = Acceptor::new(&schema);
        assert!(acceptor.push(&whole.as_bytes()[..cut]), "{cut}");
        let closing = acceptor.closing();
        assert!(
            acceptor.push(&closing),
            "closing {:?} after {}",
            String::from_utf8_lossy(&closing),
            &cut
        );
        assert!(acceptor.is_finished());
        let mut text = whole.as_bytes()[..cut].to_vec();
        text.extend(closing);
        assert!(
            serde_json::from_slice::<Value>(&text).is_ok() || String::from_utf8(text).is_err(),
            "{cut}"
        );
    }
}
