//! `shell_kill`: ends a background process and all that it started.
//!
//! Killing what is over already is done, so it may be repeated.

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

const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct ShellKillTool {
    spec: ToolSpec,
    processes: Arc<Processes>,
}

#[derive(Deserialize)]
struct Arguments {
    id: String,
}

impl ShellKillTool {
    pub(crate) fn new(processes: Arc<Processes>) -> Self {
        let spec = ToolSpec {
            name: "shell_kill",
            group: "shell",
            description: include_str!("../prompts/shell_kill.md").trim_ascii(),
            input_schema: json!({ "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] }),
            effect: Effect::Writes,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        ShellKillTool { spec, processes }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { id } = parse(arguments)?;
        let process = self.processes.find(&context.agent, &id)?;
        let look = process.kill(PATIENCE).await;
        if !process.is_over() {
            return Err(ToolOutcome::failed(format!("{id} was killed but is not gone yet\n{}", look.text)));
        }
        let evidence = vec![ran(&process.begun.line, format!("{id}: {}", look.state))];
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(look.text)],
            evidence,
        }))
    }
}

impl Tool for ShellKillTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }
}
