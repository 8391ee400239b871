use serde_json::{Value, json};
use steward_domain::model::ToolDefinition;

use super::super::propose::{Done, Scene, Step};
use super::phrase::names_in;
use super::{Fill, fill};

fn tool(name: &str) -> ToolDefinition {
    let schema = match name {
        "write" => {
            json!({"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}, "required": ["path", "content"]})
        }
        "edit" => {
            json!({"type": "object", "properties": {"path": {"type": "string"}, "old": {"type": "string"}, "new": {"type": "string"}}, "required": ["path", "old", "new"]})
        }
        "edits" => {
            json!({"type": "object", "properties": {"file_path": {"type": "string"}, "edits": {"type": "array", "items": {"type": "object", "properties": {
            "old_text": {"type": "string"}, "new_text": {"type": "string"}}, "required": ["old_text", "new_text"]}}}, "required": ["file_path", "edits"]})
        }
        "search" => {
            json!({"type": "object", "properties": {"pattern": {"type": "string"}, "path": {"type": "string"}}, "required": ["pattern"]})
        }
        "shell" => {
            json!({"type": "object", "properties": {"command": {"anyOf": [{"type": "string"}, {"type": "array"}]}, "cwd": {"type": "string"}}, "required": ["command"]})
        }
        "message" => {
            json!({"type": "object", "properties": {"to": {"type": "string"}, "text": {"type": "string"}}, "required": ["to", "text"]})
        }
        "ask" => {
            json!({"type": "object", "properties": {"question": {"type": "string"}, "choices": {"type": "array", "items": {"type": "string"}}}, "required": ["question"]})
        }
        "web_search" => {
            json!({"type": "object", "properties": {"query": {"type": "string"}, "count": {"type": "integer"}}, "required": ["query"]})
        }
        "web_fetch" => json!({"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}),
        _ => json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}),
    };
    ToolDefinition {
        name: name.to_owned(),
        description: format!("{name} something"),
        input_schema: schema,
        extra: serde_json::Map::new(),
    }
}

fn filled(name: &str, clause: &str, done: &[(&str, Value, &str)]) -> Vec<(String, Fill)> {
    let done = done.iter().map(|(tool, arguments, result)| Done {
        tool: (*tool).to_owned(),
        arguments: arguments.clone(),
        result: Some((*result).to_owned()),
        is_error: false,
    });
    let scene = Scene {
        request: clause.to_owned(),
        done: done.collect(),
    };
    let step = Step {
        tool: name.to_owned(),
        clause: clause.to_owned(),
        compose: None,
    };
    fill(&tool(name), &step, &scene)
}

fn check(name: &str, clause: &str, wanted: Value) {
    check_after(name, clause, &[], wanted);
}

fn check_after(name: &str, clause: &str, done: &[(&str, Value, &str)], wanted: Value) {
    let mut got = serde_json::Map::new();
    for (property, fill) in filled(name, clause, done) {
        let Fill::Value(value) = fill else {
            panic!("{property} of {clause:?} is {fill:?}")
        };
        got.insert(property, value);
    }
    assert_eq!(Value::Object(got), wanted, "{clause}");
}

#[test]
fn paths_are_copied_from_the_order() {
    check("read", "What does docs/plan.md say?", json!({"path": "docs/plan.md"}));
    check("list", "List the files here", json!({"path": "."}));
    check("list", "Show me the docs folder", json!({"path": "docs"}));
    check("list", "What is in the folder invoices?", json!({"path": "invoices"}));
    check_after(
        "read",
        "read it again",
        &[("write", json!({"path": "a.txt"}), "written")],
        json!({"path": "a.txt"}),
    );
}

#[test]
fn what_is_written_is_what_was_said() {
    check(
        "write",
        "Write \"We meet at noon.\" to plan.txt",
        json!({"path": "plan.txt", "content": "We meet at noon."}),
    );
    check(
        "write",
        "Write hello world to greeting.txt",
        json!({"path": "greeting.txt", "content": "hello world"}),
    );
    check(
        "write",
        "Create a file called todo.md with the text buy milk",
        json!({"path": "todo.md", "content": "buy milk"}),
    );
    check(
        "write",
        "Write this to a.txt: one, two and three",
        json!({"path": "a.txt", "content": "one, two and three"}),
    );
    check("write", "Create an empty file log.txt", json!({"path": "log.txt", "content": ""}));
    check(
        "message",
        "Send Ana a message saying I am late",
        json!({"to": "Ana", "text": "I am late"}),
    );
    check(
        "message",
        "Tell Bob that lunch is ready",
        json!({"to": "Bob", "text": "lunch is ready"}),
    );
}

#[test]
fn what_is_written_is_what_was_found() {
    let listing = [("list", json!({"path": "."}), "a.txt 12\ndocs/\nmy notes.md 3")];
    check_after(
        "write",
        "write their names to inventory.md",
        &listing,
        json!({"path": "inventory.md", "content": "a.txt\ndocs\nmy notes.md\n"}),
    );
    check_after(
        "write",
        "Write a list of the files here to all.md",
        &listing,
        json!({"path": "all.md", "content": "a.txt\ndocs\nmy notes.md\n"}),
    );
    let text = [("read", json!({"path": "a.txt"}), "one\ntwo\n")];
    check_after(
        "write",
        "save it as b.txt",
        &text,
        json!({"path": "b.txt", "content": "one\ntwo\n"}),
    );
    check_after(
        "write",
        "put the result into out/c.txt",
        &text,
        json!({"path": "out/c.txt", "content": "one\ntwo\n"}),
    );
    check_after(
        "write",
        "Copy the content of a.txt to b.txt",
        &text,
        json!({"path": "b.txt", "content": "one\ntwo\n"}),
    );
}

#[test]
fn text_that_does_not_exist_yet_is_left_to_the_model() {
    let poem = filled("write", "Write a poem about the sea to poem.txt", &[]);
    assert_eq!(poem[1].1, Fill::Compose("Write a poem about the sea.".to_owned()));
    let summary = filled(
        "write",
        "write a summary of it to s.md",
        &[("read", json!({"path": "a.txt"}), "long text")],
    );
    assert_eq!(summary[1].1, Fill::Compose("write a summary of it.".to_owned()));
}

#[test]
fn searches_commands_and_addresses_are_copied() {
    check("search", "Search for the word invoice in the files", json!({"pattern": "invoice"}));
    check("search", "Find all files that mention Berlin", json!({"pattern": "Berlin"}));
    check(
        "search",
        "grep for \"two words\" in src/",
        json!({"pattern": "two words", "path": "src/"}),
    );
    check(
        "web_search",
        "Search the web for the weather in Berlin",
        json!({"query": "the weather in Berlin"}),
    );
    check("shell", "Run `git status --short`", json!({"command": "git status --short"}));
    check("shell", "Run the command uname -a in the shell", json!({"command": "uname -a"}));
    check(
        "web_fetch",
        "Summarise https://example.com/a.",
        json!({"url": "https://example.com/a"}),
    );
    check(
        "ask",
        "Ask me whether I want tea or coffee",
        json!({"question": "I want tea or coffee?", "choices": ["tea", "coffee"]}),
    );
}

#[test]
fn replacements_are_found_with_and_without_quotes() {
    check(
        "edit",
        "Replace \"red\" with \"blue\" in paint.txt",
        json!({"path": "paint.txt", "old": "red", "new": "blue"}),
    );
    check(
        "edit",
        "In notes.md change Monday to Tuesday",
        json!({"path": "notes.md", "old": "Monday", "new": "Tuesday"}),
    );
    check(
        "edits",
        "replace cat with dog in story.txt",
        json!({"file_path": "story.txt", "edits": [{"old_text": "cat", "new_text": "dog"}]}),
    );
}

#[test]
fn what_fits_in_several_ways_is_left_to_the_model() {
    let several = filled("read", "Compare a.txt with b.txt", &[]);
    assert_eq!(several[0].1, Fill::OneOf(vec![json!("a.txt"), json!("b.txt")]));
    assert_eq!(filled("shell", "show how full the disk is", &[])[0].1, Fill::Free);
}

#[test]
fn names_are_taken_out_of_listings() {
    assert_eq!(
        names_in("total 8\n- a.txt  120 B\n* docs/\nb c.md 4 kB\n[3 more entries]\nlink (symlink)\n"),
        "a.txt\ndocs\nb c.md\nlink\n"
    );
}
