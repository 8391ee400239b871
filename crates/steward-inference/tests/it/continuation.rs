//! Answers that break off in the middle: what the next target is asked, what the caller gets, what is booked.

use serde_json::json;
use steward_domain::message::{Message, Role};
use steward_domain::model::{ModelErrorKind, ModelRequest, ToolDefinition};
use steward_testkit::script::Reply;

use super::bench::{Bench, attempts, server, two};

const WHOLE: &str = "The quick brown fox jumps over the lazy dog.";

/// Says `text` in pieces of five letters and breaks off after `events` events.
fn cut(text: &str, events: usize) -> Reply {
    Reply {
        cut_after_events: Some(events),
        piece_chars: 5,
        ..Reply::text(text)
    }
}

#[tokio::test]
async fn another_target_goes_on_where_a_plain_answer_broke_off() {
    let one = server([cut(WHOLE, 6)]).await;
    let other = server([Reply::text("END")]).await;
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    let text = outcome.text();
    let begun = text.strip_suffix("END").unwrap();
    assert!(!begun.is_empty() && WHOLE.starts_with(begun), "{text}");
    let messages = other.requests()[0].body["messages"].clone();
    let last = messages.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["role"], "assistant");
    let shown = serde_json::to_string(&last["content"]).unwrap();
    assert!(shown.contains(begun.trim_end()), "{shown}");
    let booked = bench.ledger.booked();
    let statuses: Vec<_> = booked.iter().map(|call| (call.target.as_str(), call.status.as_str())).collect();
    assert_eq!(statuses, [("one/m", "cut"), ("two/m", "ok")]);
    let used: u64 = booked.iter().map(|call| call.usage.total_output()).sum();
    assert_eq!(outcome.finish().usage.total_output(), used, "the caller is told of both");
    assert_eq!(attempts(&bench, &outcome).len(), 2);
    bench.ledger.assert_balanced();
}

#[tokio::test]
async fn white_space_is_neither_lost_nor_doubled_at_the_seam() {
    for (next, wanted) in [
        (" and two", "one  and two"),
        ("and two", "one  and two"),
        ("  and two", "one  and two"),
    ] {
        let reply = Reply {
            piece_chars: 5,
            ..cut("one  and never more than this", 4)
        };
        let one = server([reply]).await;
        let continued = Reply {
            piece_chars: 1_000,
            ..Reply::text(next)
        };
        let other = server([continued]).await;
        let bench = Bench::new(&two(&one, &other));
        let text = bench.ask("default").await.text();
        let has_doubled = text.contains("   ");
        assert!(
            !has_doubled && text.starts_with("one  ") && text.ends_with("and two"),
            "{text:?} {wanted:?}"
        );
    }
}

#[tokio::test]
async fn silence_between_tokens_is_continued_elsewhere() {
    let slow = Reply {
        delay_token_ms: 400,
        ..cut(WHOLE, 50)
    };
    let one = server([slow]).await;
    let other = server([Reply::text("END")]).await;
    let config = two(&one, &other) + "timeout = { between_tokens = \"100ms\" }\n";
    let bench = Bench::new(&config);
    let outcome = bench.ask("default").await;
    assert!(outcome.text().ends_with("END"), "{}", outcome.text());
    assert_eq!(bench.ledger.booked()[0].status, "timeout");
}

#[tokio::test]
async fn with_tools_or_a_form_or_when_told_so_the_error_says_what_was_delivered() {
    let tool = ToolDefinition {
        name: "read".into(),
        description: String::new(),
        input_schema: json!({"type": "object"}),
        extra: serde_json::Map::new(),
    };
    let plain = ModelRequest::new("default", vec![Message::text(Role::User, "hello")]);
    let with_tools = ModelRequest {
        tools: vec![tool],
        ..plain.clone()
    };
    let with_form = ModelRequest {
        format: steward_domain::model::AnswerFormat::JsonObject,
        ..plain.clone()
    };
    let cases = [(with_tools, ""), (with_form, ""), (plain, "continuation = false\n")];
    for (request, config) in cases {
        let one = server([cut(WHOLE, 6)]).await;
        let other = server([Reply::text("END")]).await;
        let bench = Bench::new(&(two(&one, &other) + config));
        let outcome = bench.ask_with(request).await;
        assert_eq!(outcome.error().kind, ModelErrorKind::Cut);
        let message = &outcome.error().message;
        let delivered = outcome.text().chars().count();
        assert!(message.contains(&format!("{delivered} characters")), "{message}");
        assert_eq!(other.count(), 0);
        bench.ledger.assert_balanced();
    }
}

#[tokio::test]
async fn when_nobody_can_go_on_the_error_says_so() {
    let one = server([cut(WHOLE, 6)]).await;
    let other = server([Reply::error(400)]).await;
    let bench = Bench::new(&two(&one, &other));
    let outcome = bench.ask("default").await;
    assert_eq!(
        (outcome.error().kind, outcome.error().target.as_str()),
        (ModelErrorKind::Cut, "one/m")
    );
    assert!(outcome.error().message.contains("had been delivered"), "{}", outcome.error());
    bench.ledger.assert_balanced();
}
