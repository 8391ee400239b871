//! `shell_poll`: what a background process printed since the last look, and whether it still runs.
//!
//! Only looks; the process does not notice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::message::Part;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{parse, settle};
use crate::shell::processes::Processes;
use crate::shell::ran;

const MAX_WAIT_S: u64 = 600;

pub(crate) struct ShellPollTool {
    spec: ToolSpec,
    processes: Arc<Processes>,
}

#[derive(Deserialize)]
struct Arguments {
    id: String,
    #[serde(default)]
    wait_s: u64,
}

impl ShellPollTool {
    pub(crate) fn new(processes: Arc<Processes>) -> Self {
        let spec = ToolSpec {
            name: "shell_poll",
            group: "shell",
            description: include_str!("../prompts/shell_poll.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": { "id": { "type": "string" }, "wait_s": { "type": "integer", "minimum": 0 } },
                "required": ["id"]
            }),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        ShellPollTool { spec, processes }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { id, wait_s } = parse(arguments)?;
        let process = self.processes.find(&context.agent, &id)?;
        let look = process.look(Duration::from_secs(wait_s.min(MAX_WAIT_S))).await;
        let evidence = vec![ran(&process.begun.line, format!("{id}: {}", look.state))];
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(look.text)],
            evidence,
        }))
    }
}

impl Tool for ShellPollTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }
}
