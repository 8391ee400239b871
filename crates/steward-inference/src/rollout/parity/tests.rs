use serde_json::json;
use steward_domain::message::{Message, Role};
use steward_domain::model::{AnswerFormat, ModelRequest, ToolDefinition};

use super::{Answer, Parity, similarity};

fn request(format: AnswerFormat) -> ModelRequest {
    let tool = ToolDefinition {
        name: "read".into(),
        description: String::new(),
        input_schema: json!({
            "type": "object",
            "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}},
            "required": ["path"],
            "additionalProperties": false
        }),
        extra: serde_json::Map::new(),
    };
    ModelRequest {
        tools: vec![tool],
        format,
        ..ModelRequest::new("default", vec![Message::text(Role::User, "hi")])
    }
}

fn says(text: &str) -> Answer {
    Answer {
        text: text.into(),
        ..Answer::default()
    }
}

fn calls(name: &str, arguments: &str) -> Answer {
    Answer {
        calls: vec![(name.into(), arguments.into())],
        ..Answer::default()
    }
}

#[test]
fn a_call_is_valid_when_there_is_such_a_tool_and_its_arguments_fit() {
    let valid = |answer: Answer| answer.is_valid(&request(AnswerFormat::Text));
    assert_eq!(valid(says("plain")), None);
    assert_eq!(valid(calls("read", r#"{"path": "a", "lines": [1, 2]}"#)), Some(true));
    for (name, arguments) in [
        ("write", r#"{"path": "a"}"#),
        ("read", "{}"),
        ("read", "{broken"),
        ("read", r#"{"path": 3}"#),
        ("read", r#"{"path": "a", "lines": ["x"]}"#),
        ("read", r#"{"path": "a", "other": 1}"#),
    ] {
        assert_eq!(valid(calls(name, arguments)), Some(false), "{name} {arguments}");
    }
}

#[test]
fn a_text_is_valid_when_it_has_the_form_that_was_asked_for() {
    let schema = AnswerFormat::JsonSchema {
        name: "city".into(),
        schema: json!({"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]}),
        is_strict: true,
    };
    let valid = |text: &str| says(text).is_valid(&request(schema.clone()));
    assert_eq!(valid(r#"{"city": "Rome"}"#), Some(true));
    assert_eq!(
        (valid(r#"{"city": "Oslo"}"#), valid("Rome"), valid("[]")),
        (Some(false), Some(false), Some(false))
    );
}

#[test]
fn copies_are_alike_when_they_call_the_same_and_say_about_the_same() {
    let is_good = |shown: &Answer, copy: &Answer| Parity::of(&request(AnswerFormat::Text), shown, copy).is_good();
    let read = calls("read", r#"{"path": "a"}"#);
    assert!(is_good(&read, &calls("read", r#"{ "path":"a" }"#)));
    assert!(!is_good(&read, &calls("read", r#"{"path": "b"}"#)));
    assert!(!is_good(&read, &says("I cannot read files")));
    let sky = says("The sky is blue because air scatters short wavelengths of light more strongly.");
    assert!(is_good(
        &sky,
        &says("Air scatters blue light, with its short wavelengths, more than red: so the sky looks blue.")
    ));
    assert!(!is_good(&sky, &says("I am sorry, but I can not help with that today.")));
}

#[test]
fn json_is_compared_by_value() {
    assert_eq!(similarity(r#"{"a": 1, "b": [2]}"#, r#"{"b":[2],"a":1}"#), 1.0);
    assert!(similarity(r#"{"temperature": 1}"#, r#"{"humidity": 7}"#) < 0.5);
}
