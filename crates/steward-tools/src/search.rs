//! `search`: lines that match a regular expression, in a file or in all below a folder.
//!
//! Walks by handle and follows no symlink. Leaves out `.git`, what `.gitignore` names, and files that are not text.

mod walk;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::BoxFuture;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::Touched;
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{Stop, blocking, named, parse, settle};
use crate::workspace::Workspace;
use walk::{Found, Walk};

/// A pattern that compiles to more than this is refused.
const MAX_PATTERN_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct SearchTool {
    spec: ToolSpec,
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Arguments {
    pattern: String,
    path: Option<String>,
}

impl SearchTool {
    pub(crate) fn new(workspace: Workspace) -> Self {
        let spec = ToolSpec {
            name: "search",
            group: "files",
            description: include_str!("../prompts/search.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": { "pattern": { "type": "string" }, "path": { "type": "string" } },
                "required": ["pattern"]
            }),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        SearchTool { spec, workspace }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { pattern, path } = parse(arguments)?;
        let matcher = matcher(&pattern)?;
        let path = self
            .workspace
            .locate(path.as_deref().filter(|path| !path.is_empty()).unwrap_or("."))?;
        let workspace = self.workspace.clone();
        let stop = Stop::new();
        let flag: Arc<AtomicBool> = stop.flag();
        let found = blocking(move || Walk::new(matcher, flag, context.files).run(&workspace, &path)).await??;
        Ok(ToolOutcome::Done(output(&pattern, found)))
    }
}

impl Tool for SearchTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, arguments: &Value) -> Result<Touched, String> {
        named(&self.workspace, arguments, "path")
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }
}

fn matcher(pattern: &str) -> Result<RegexMatcher, ToolOutcome> {
    if pattern.is_empty() {
        return Err(ToolOutcome::failed("the pattern is empty"));
    }
    RegexMatcherBuilder::new()
        .line_terminator(Some(b'\n'))
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .build(pattern)
        .map_err(|error| ToolOutcome::failed(format!("{pattern:?} is no regular expression that can be used here: {error}")))
}

fn output(pattern: &str, found: Found) -> ToolOutput {
    let count = found.lines.len();
    let mut lines = found.lines;
    if lines.is_empty() {
        lines.push(format!("[no match in {} files]", found.files));
    }
    lines.extend(found.notes.into_iter().map(|note| format!("[{note}]")));
    let detail = format!("{count} matches in {} files", found.files);
    let evidence = vec![Evidence {
        action: EvidenceAction::Read,
        object: pattern.to_owned(),
        detail,
    }];
    ToolOutput {
        parts: vec![Part::text(lines.join("\n"))],
        evidence,
    }
}
