use serde_json::json;
use steward_domain::message::{Message, Part, Role, ToolCall};
use steward_domain::model::ToolDefinition;

use super::{EXEMPLARS, Next, next, plan, scene_of};

fn tools() -> Vec<ToolDefinition> {
    let text = |names: &[&str]| {
        let properties: serde_json::Map<_, _> = names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
        json!({"type": "object", "properties": properties, "required": names})
    };
    let tool = |name: &str, description: &str, properties: &[&str]| ToolDefinition {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: text(properties),
        extra: serde_json::Map::new(),
    };
    vec![
        tool("read", "Reads a file.", &["path"]),
        tool("list", "Lists a folder.", &["path"]),
        tool("search", "Searches files for a regular expression.", &["pattern"]),
        tool("write", "Writes a file.", &["path", "content"]),
        tool("edit", "Replaces one text in a file by another.", &["path", "old", "new"]),
        tool("shell", "Runs a command.", &["command"]),
        tool("web_fetch", "Reads a page of the web.", &["url"]),
        tool("web_search", "Searches the web.", &["query"]),
        tool("message", "Sends a message.", &["to", "text"]),
        tool("ask", "Asks the person a question.", &["question"]),
        tool("turn_light", "Switches the lamp in a room on or off.", &["room", "state"]),
    ]
}

fn check(request: &str, wanted: &[&str]) {
    let steps = plan(request, &tools()).unwrap();
    let got: Vec<&str> = steps.iter().map(|step| step.tool.as_str()).collect();
    assert_eq!(got, wanted, "{request}");
}

#[test]
fn each_tool_with_exemplars_has_six_or_more() {
    assert!(EXEMPLARS.tools.values().all(|tool| tool.exemplars.len() >= 6));
}

#[test]
fn a_chat_needs_no_tool() {
    for request in [
        "Hello there!",
        "What is the capital of Italy?",
        "Tell me a story about a dragon",
        "Thanks, that was great",
        "How do airplanes fly?",
        "Write a limerick",
    ] {
        check(request, &[]);
    }
}

#[test]
fn one_order_is_served_by_the_nearest_tool() {
    check("Which files are in this directory?", &["list"]);
    check("Please show me what is in invoice.txt", &["read"]);
    check("Find the files which mention apples", &["search"]);
    check("Save the sentence \"We meet at noon\" to plan.txt", &["write"]);
    check("Run `uname -a`", &["shell"]);
    check("What does https://example.com/a say?", &["web_fetch"]);
    check("Search the web for train times to Rome", &["web_search"]);
    check("Send Ana a message saying dinner is ready", &["message"]);
    check("Replace \"red\" with \"blue\" in paint.txt", &["edit"]);
    check("Ask me which size I prefer", &["ask"]);
}

#[test]
fn a_tool_without_exemplars_is_known_by_its_description() {
    check("Switch on the lamp in the kitchen", &["turn_light"]);
}

#[test]
fn several_orders_are_served_in_turn() {
    check("List the files here and write their names to inventory.md", &["list", "write"]);
    check("Read a.txt, then save it as b.txt", &["read", "write"]);
    check("Show me a.md and b.md", &["read", "read"]);
    check("Read meeting.md and tell me when we meet", &["read"]);
    check("Search for the word budget and put the result into found.txt", &["search", "write"]);
}

#[test]
fn an_order_hidden_in_another_comes_first() {
    check("Write a list of the files here to inventory.md", &["list", "write"]);
    check("Write a summary of report.txt to summary.md", &["read", "write"]);
    check("Write a poem about the sea to poem.txt", &["write"]);
}

fn after(request: &str, calls: &[(&str, bool)]) -> Next {
    let mut messages = vec![
        Message::text(Role::User, "an older request"),
        Message::text(Role::Assistant, "done"),
        Message::text(Role::User, request),
    ];
    for (index, (tool, is_error)) in calls.iter().enumerate() {
        let call = ToolCall {
            id: format!("call_{index}").as_str().into(),
            name: (*tool).to_owned(),
            arguments: "{}".to_owned(),
            signature: None,
        };
        let result = Part::ToolResult {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: vec![Part::text("result")],
            is_error: *is_error,
        };
        messages.push(Message {
            role: Role::Assistant,
            parts: vec![Part::ToolCall(call)],
        });
        messages.push(Message {
            role: Role::User,
            parts: vec![result],
        });
    }
    messages.push(Message::text(Role::User, "[steward] Check your last answer: it says nothing"));
    next(&scene_of(&messages), &tools()).unwrap()
}

#[test]
fn steps_already_done_are_read_from_the_conversation() {
    let request = "List the files here and write their names to inventory.md";
    let is_call = |next: Next, tool: &str| matches!(next, Next::Call(step) if step.tool == tool);
    assert!(is_call(after(request, &[]), "list"));
    assert!(is_call(after(request, &[("list", false)]), "write"));
    assert_eq!(after(request, &[("list", false), ("write", false)]), Next::Answer);
    assert_eq!(
        after(request, &[("list", true)]),
        Next::Answer,
        "after a failure it is time to talk"
    );
}

#[test]
fn the_time_before_a_message_is_no_word_of_the_person() {
    let asked = |text: &str| super::scene_of(&[steward_domain::message::Message::text(steward_domain::message::Role::User, text)]).request;
    assert_eq!(asked("[2026-11-25 06:19 UTC] List the files here"), "List the files here");
    assert_eq!(asked("[draft] List the files here"), "[draft] List the files here");
}
