//! Events folded into a message.

use steward_domain::message::Part;
use steward_domain::model::{ModelErrorKind, ModelEvent};

use super::fold;
use crate::Dialect;
use crate::fixtures::{meaning_of, started};

#[test]
fn parts_keep_their_order_and_calls_their_arguments() {
    let mut events = meaning_of(Dialect::Anthropic);
    events.insert(0, started());
    let answer = fold(&events).expect("a whole answer");
    let kinds: Vec<String> = answer.message.parts.iter().map(show).collect();
    assert_eq!(
        kinds,
        [
            "text Grüß Gott 🌍",
            "thought think sig1",
            r#"call read {"path":"a"}"#,
            "call list {}",
            "text done"
        ]
    );
    assert_eq!(answer.answerer.map(|who| who.target), Some("p/m".to_owned()));
}

fn show(part: &Part) -> String {
    match part {
        Part::Text { text, .. } => format!("text {text}"),
        Part::Thinking { text, signature, .. } => format!("thought {text} {}", signature.as_deref().unwrap_or("-")),
        Part::ToolCall(call) => format!("call {} {}", call.name, call.arguments),
        other => format!("{other:?}"),
    }
}

#[test]
fn events_without_a_last_one_are_a_cut_answer() {
    let error = fold(&[ModelEvent::Text("a".to_owned())]).expect_err("no last event");
    assert_eq!(error.kind, ModelErrorKind::Cut);
}
