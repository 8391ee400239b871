//! `write`: a file as a whole.
//!
//! Compares before it writes, so writing the same again changes nothing and may be repeated.

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::Touched;
use steward_domain::message::Part;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{named, parse, settle};
use crate::change::{Change, Changer};

pub(crate) struct WriteTool {
    spec: ToolSpec,
    changer: Changer,
}

#[derive(Deserialize)]
struct Arguments {
    path: String,
    content: String,
}

impl WriteTool {
    pub(crate) fn new(changer: Changer) -> Self {
        let spec = ToolSpec {
            name: "write",
            group: "files",
            description: include_str!("../prompts/write.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": { "path": { "type": "string" }, "content": { "type": "string" } },
                "required": ["path", "content"]
            }),
            effect: Effect::Writes,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        WriteTool { spec, changer }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { path, content } = parse(arguments)?;
        let path = self.changer.workspace.locate(&path)?;
        let before = self.changer.read(&path).await?;
        let change = Change {
            path,
            before,
            after: Some(content.into_bytes()),
        };
        let (path, bytes) = (change.path.to_string(), change.after.as_ref().map_or(0, Vec::len));
        let said = match &change.before {
            Some(_) if change.is_nothing() => format!("{path} is unchanged: it holds this content already"),
            Some(_) => format!("wrote {path}, {bytes} bytes"),
            None => format!("made {path}, {bytes} bytes"),
        };
        let evidence = vec![change.evidence()];
        if !change.is_nothing() {
            self.changer.save(&change, &context).await?;
            self.changer.make(vec![change]).await?;
        }
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(said)],
            evidence,
        }))
    }
}

impl Tool for WriteTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, arguments: &Value) -> Result<Touched, String> {
        named(&self.changer.workspace, arguments, "path")
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }
}
