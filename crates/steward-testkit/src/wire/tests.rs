use serde_json::{Value, json};

use super::{Answer, Wire, Wishes, pieces};
use crate::script::Reply;

/// The same short conversation on each wire: a question, a call, its result.
fn requests() -> [(Wire, Value); 4] {
    [
        (
            Wire::OpenaiChat,
            json!({"model": "m", "messages": [
                {"role": "system", "content": "rules"},
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": null,
                    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "list", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "a", "content": "a.txt"},
            ]}),
        ),
        (
            Wire::OpenaiResponses,
            json!({"model": "m", "instructions": "rules", "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "go"}]},
                {"type": "function_call", "call_id": "a", "name": "list", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "a.txt"},
            ]}),
        ),
        (
            Wire::Anthropic,
            json!({"model": "m", "max_tokens": 10, "system": "rules", "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "list", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "a.txt"}]},
            ]}),
        ),
        (
            Wire::Gemini,
            json!({"systemInstruction": {"parts": [{"text": "rules"}]}, "contents": [
                {"role": "user", "parts": [{"text": "go"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "list", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "list", "response": {"result": "a.txt"}}}]},
            ]}),
        ),
    ]
}

#[test]
fn the_four_wires_say_the_same() {
    let keys = requests().map(|(wire, body)| {
        let conversation = wire.read(&body, "m").expect("the request is well-formed");
        assert_eq!(conversation.step(), 1, "{wire:?}");
        assert_eq!(conversation.last_user_text(), "go", "{wire:?}");
        assert_eq!(conversation.recent_tool_results(), ["a.txt"], "{wire:?}");
        conversation.key()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn a_call_without_its_result_is_refused() {
    for (wire, mut body) in requests() {
        let list = match wire {
            Wire::OpenaiChat | Wire::Anthropic => &mut body["messages"],
            Wire::OpenaiResponses => &mut body["input"],
            Wire::Gemini => continue,
        };
        let messages = list.as_array_mut().expect("the messages are a list");
        messages.pop();
        messages.push(json!({"role": "user", "content": "and now?"}));
        assert!(wire.read(&body, "m").is_err(), "{wire:?}");
    }
}

#[test]
fn a_result_without_its_call_is_refused() {
    for (wire, mut body) in requests() {
        let list = match wire {
            Wire::OpenaiChat | Wire::Anthropic => &mut body["messages"],
            Wire::OpenaiResponses => &mut body["input"],
            Wire::Gemini => &mut body["contents"],
        };
        let messages = list.as_array_mut().expect("the messages are a list");
        messages.remove(messages.len() - 2);
        assert!(wire.read(&body, "m").is_err(), "{wire:?}");
    }
}

#[test]
fn every_event_is_json_and_the_pieces_add_up() {
    let reply = Reply {
        text: "Grüße aus dem Süden".to_owned(),
        thinking: Some("let me think".to_owned()),
        ..Reply::call("list", json!({"path": "."}))
    };
    for (wire, body) in requests() {
        let conversation = wire.read(&body, "m").expect("the request is well-formed");
        let answer = Answer::new(&reply, &conversation);
        let events = wire.events(&answer, Wishes::default());
        let mut text = String::new();
        for event in events.iter().filter(|event| event.data != "[DONE]") {
            let data: Value = serde_json::from_str(&event.data).expect("the data is JSON");
            if event.is_text {
                let paths = [
                    "/choices/0/delta/content",
                    "/delta",
                    "/delta/text",
                    "/candidates/0/content/parts/0/text",
                ];
                let piece = paths
                    .iter()
                    .find_map(|path| data.pointer(path)?.as_str())
                    .expect("the event has a piece of text");
                text.push_str(piece);
            }
        }
        assert_eq!(text, reply.text, "{wire:?}");
    }
}

#[test]
fn pieces_never_cut_a_character() {
    assert_eq!(pieces("a ü b", 0), ["a ", "ü ", "b"]);
    assert_eq!(pieces("äöü", 2), ["äö", "ü"]);
}
