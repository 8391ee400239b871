//! The `ask` tool: a question to the person. It never runs; the turn waits for the answer.

use serde_json::{Value, json};
use steward_domain::decision::{Decision, Ruling};
use steward_domain::model::ToolDefinition;

/// The tool's name.
pub const NAME: &str = "ask";

/// What the model is told of it.
pub fn definition() -> ToolDefinition {
    ToolDefinition {
        name: NAME.into(),
        description: include_str!("../prompts/ask.md").trim_end().into(),
        input_schema: schema(),
        extra: serde_json::Map::new(),
    }
}

/// JSON Schema of its arguments.
pub fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"question": {"type": "string"}, "choices": {"type": "array", "items": {"type": "string"}}},
        "required": ["question"]
    })
}

/// The ruling on it: always a person.
pub fn ruling() -> Ruling {
    Ruling {
        decision: Decision::Ask,
        reason: "the agent asks".into(),
        rule: "ask".into(),
    }
}
