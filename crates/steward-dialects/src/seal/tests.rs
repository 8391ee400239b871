//! Seals that pass through a caller and come back.

use steward_domain::id::CallId;
use steward_domain::message::{Part, ToolCall};

use super::{give_to_calls, of_call, show, take_back};
use crate::Dialect;

#[test]
fn a_seal_comes_back_as_it_was_whoever_made_it() {
    for dialect in Dialect::ALL {
        for (kept, is_redacted) in [
            ("EqRk+/sig==", false),
            ("EqRk+/sig==", true),
            ("gemini:c2ln", false),
            ("openai-responses:gAAA", false),
        ] {
            let shown = show(dialect, kept, is_redacted);
            let (back, was_redacted) = take_back(dialect, &shown);
            assert_eq!(back.as_deref(), Some(kept), "{} {shown}", dialect.name());
            let has_own_word_for_it = matches!(dialect, Dialect::Anthropic | Dialect::OpenAiChat);
            assert_eq!(was_redacted, is_redacted && !has_own_word_for_it);
        }
    }
}

#[test]
fn a_caller_sees_its_own_dialects_seal_bare() {
    assert_eq!(show(Dialect::Gemini, "gemini:c2ln", false), "c2ln");
    assert_eq!(show(Dialect::OpenAiResponses, "openai-responses:gAAA", false), "gAAA");
    assert_eq!(take_back(Dialect::Gemini, "c2ln"), (Some("gemini:c2ln".to_owned()), false));
    assert_eq!(take_back(Dialect::Gemini, ""), (None, false));
}

#[test]
fn the_seal_of_a_call_finds_its_call_again() {
    let call = |signature: Option<&str>| {
        Part::ToolCall(ToolCall {
            id: CallId::from("call_a"),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
            signature: signature.map(str::to_owned),
        })
    };
    let hidden = Part::Thinking {
        text: String::new(),
        signature: Some(of_call(&CallId::from("call_a"), "c2ln")),
        is_redacted: true,
    };
    let mut parts = vec![hidden, call(None)];
    give_to_calls(&mut parts);
    assert_eq!(parts, [call(Some("c2ln"))]);
}
