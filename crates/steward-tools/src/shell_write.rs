//! `shell_write`: text or keys for a background process.
//!
//! What is written may itself be a command, so it is judged like one.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::message::Part;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{parse, settle};
use crate::shell::effect::effect_of_line;
use crate::shell::processes::Processes;
use crate::shell::{keys, ran};

const MAX_TEXT_BYTES: usize = 64 * 1024;

pub(crate) struct ShellWriteTool {
    spec: ToolSpec,
    processes: Arc<Processes>,
}

#[derive(Deserialize)]
struct Arguments {
    id: String,
    text: Option<String>,
    keys: Option<String>,
}

impl ShellWriteTool {
    pub(crate) fn new(processes: Arc<Processes>) -> Self {
        let spec = ToolSpec {
            name: "shell_write",
            group: "shell",
            description: include_str!("../prompts/shell_write.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": { "id": { "type": "string" }, "text": { "type": "string" }, "keys": { "type": "string" } },
                "required": ["id"]
            }),
            effect: Effect::Destroys,
            repeat: Repeat::Never,
            gives_outside: false,
        };
        ShellWriteTool { spec, processes }
    }

    fn run(&self, arguments: Value, context: &ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { id, text, keys } = parse(arguments)?;
        let bytes = match (text, keys) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(keys)) => keys::bytes_of(&keys).map_err(ToolOutcome::failed)?,
            (Some(_), Some(_)) | (None, None) => return Err(ToolOutcome::failed("give either `text` or `keys`")),
        };
        if bytes.is_empty() || bytes.len() > MAX_TEXT_BYTES {
            return Err(ToolOutcome::failed(format!(
                "the text has {} bytes; 1 to {MAX_TEXT_BYTES} can be written",
                bytes.len()
            )));
        }
        let count = bytes.len();
        let process = self.processes.find(&context.agent, &id)?;
        process
            .write(bytes)
            .map_err(|reason| ToolOutcome::failed(format!("{id}: {reason}")))?;
        let evidence = vec![ran(&process.begun.line, format!("{id}: {count} bytes written"))];
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(format!("wrote {count} bytes to {id}"))],
            evidence,
        }))
    }
}

impl Tool for ShellWriteTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn effect_of(&self, arguments: &Value) -> Effect {
        let text = arguments["text"].as_str().unwrap_or("");
        effect_of_line(text).max(Effect::Writes)
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, &context)) })
    }
}
