use steward_domain::message::{Message, Part, Role, ToolCall};

use super::{cut_point, extract, trim_old_outputs};

fn step(n: usize, output: &str) -> [Message; 2] {
    let call = ToolCall {
        id: format!("c{n}").as_str().into(),
        name: "read".into(),
        arguments: "{}".into(),
        signature: None,
    };
    let result = Part::ToolResult {
        call_id: call.id.clone(),
        name: "read".into(),
        content: vec![Part::text(output)],
        is_error: false,
    };
    [
        Message {
            role: Role::Assistant,
            parts: vec![Part::ToolCall(call)],
        },
        Message {
            role: Role::User,
            parts: vec![result],
        },
    ]
}

fn conversation(steps: usize, output_chars: usize) -> Vec<Message> {
    let mut messages = vec![Message::text(Role::User, "do it")];
    messages.extend((0..steps).flat_map(|n| step(n, &"word ".repeat(output_chars / 5))));
    messages
}

#[test]
fn old_outputs_are_trimmed_and_the_last_two_steps_stay_whole() {
    let mut messages = conversation(4, 5_000);
    assert!(trim_old_outputs(&mut messages));
    let length = |message: &Message| serde_json::to_string(message).unwrap().len();
    assert!(length(&messages[2]) < 600);
    assert!(length(&messages[8]) > 5_000);
    assert!(!trim_old_outputs(&mut messages), "trimming twice changes nothing");
}

#[test]
fn a_cut_never_parts_a_call_from_its_result() {
    let messages = conversation(10, 400);
    for keep_tokens in (10..2_000).step_by(37) {
        let Some(point) = cut_point(&messages, keep_tokens) else { continue };
        let starts_with_result = messages[point].parts.iter().any(|part| matches!(part, Part::ToolResult { .. }));
        assert!(!starts_with_result, "keeping {keep_tokens} tokens cuts at {point}");
    }
}

#[test]
fn a_checkpoint_without_a_model_keeps_what_the_person_said() {
    let text = extract(Some("before"), &conversation(2, 100));
    assert!(text.starts_with("before\nperson: do it"), "{text}");
    assert!(text.contains("me: called read {}"));
}
