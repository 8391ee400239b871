//! `apply_patch`: several files at once, all of them or none.
//!
//! Works out every file before it writes the first, and keeps every checkpoint before that.

mod apply;
mod parse;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::Touched;
use steward_domain::message::Part;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{blocking, parse as parse_arguments, settle};
use crate::change::{Change, Changer};
use crate::workspace::InsidePath;
use apply::{apply, is_applied};
use parse::{FilePatch, Hunk, Operation};

pub(crate) struct ApplyPatchTool {
    spec: ToolSpec,
    changer: Changer,
}

#[derive(Deserialize)]
struct Arguments {
    patch: String,
}

impl ApplyPatchTool {
    pub(crate) fn new(changer: Changer) -> Self {
        let spec = ToolSpec {
            name: "apply_patch",
            group: "files",
            description: include_str!("../prompts/apply_patch.md").trim_ascii(),
            input_schema: json!({ "type": "object", "properties": { "patch": { "type": "string" } }, "required": ["patch"] }),
            effect: Effect::Writes,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        ApplyPatchTool { spec, changer }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { patch } = parse_arguments(arguments)?;
        let files = parse::parse(&patch).map_err(|reason| ToolOutcome::failed(format!("the patch cannot be read: {reason}")))?;
        let mut changes: Vec<Change> = Vec::new();
        for file in files {
            let planned = self.plan(file, &context).await?;
            if let Some(twice) = planned.iter().find(|change| changes.iter().any(|other| other.path == change.path)) {
                return Err(ToolOutcome::failed(format!(
                    "{} is in the patch twice; put its hunks together",
                    twice.path
                )));
            }
            changes.extend(planned);
        }
        let said: Vec<String> = changes.iter().map(describe).collect();
        let evidence = changes.iter().map(Change::evidence).collect();
        changes.retain(|change| !change.is_nothing());
        for change in &changes {
            self.changer.save(change, &context).await?;
        }
        self.changer.make(changes).await?;
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(said.join("\n"))],
            evidence,
        }))
    }

    /// What one part of the patch would change; what a repeat finds done already becomes no change.
    async fn plan(&self, file: FilePatch, context: &ToolContext) -> Result<Vec<Change>, ToolOutcome> {
        let path = self.changer.workspace.locate(&file.path)?;
        let before = self.changer.read(&path).await?;
        match file.operation {
            Operation::Add(content) => Ok(vec![add(path, before, content)?]),
            Operation::Delete => Ok(vec![delete(path, before, context)?]),
            Operation::Update { hunks, move_to } => {
                let target = move_to
                    .map(|target| self.changer.workspace.locate(&target))
                    .transpose()?
                    .filter(|target| *target != path);
                match target {
                    None => Ok(vec![self.update(path, before, hunks, context).await?]),
                    Some(target) => self.move_to(Change { path, before, after: None }, target, hunks, context).await,
                }
            }
        }
    }

    async fn update(
        &self,
        path: InsidePath,
        before: Option<Vec<u8>>,
        hunks: Vec<Hunk>,
        context: &ToolContext,
    ) -> Result<Change, ToolOutcome> {
        let Some(before) = before else {
            return Err(ToolOutcome::failed(format!("{path} does not exist, so it cannot be changed")));
        };
        let was_done = match context.is_repeat {
            true => self.changer.was_done(&path, Some(&before), context).await,
            false => Some(false),
        };
        let shown = path.to_string();
        let after = blocking(move || {
            let is_done = was_done.unwrap_or_else(|| is_applied(&before, &hunks));
            let after = if is_done { Ok(before.clone()) } else { apply(&before, &hunks) };
            after.map(|after| (before, after))
        });
        let (before, after) = after
            .await?
            .map_err(|reason| ToolOutcome::failed(format!("{shown}: {reason}; nothing was changed")))?;
        Ok(Change {
            path,
            before: Some(before),
            after: Some(after),
        })
    }

    async fn move_to(
        &self,
        source: Change,
        target: InsidePath,
        hunks: Vec<Hunk>,
        context: &ToolContext,
    ) -> Result<Vec<Change>, ToolOutcome> {
        let there = self.changer.read(&target).await?;
        // The target is written before the source is removed, so a repeat that finds no source finds the target done.
        let was_moved = context.is_repeat && source.before.is_none() && there.is_some();
        if was_moved {
            return Ok(vec![
                Change {
                    path: target,
                    before: there.clone(),
                    after: there,
                },
                Change {
                    path: source.path,
                    before: None,
                    after: None,
                },
            ]);
        }
        let from = source.path.clone();
        let edited = self.update(source.path, source.before, hunks, context).await?;
        if there.is_some() && there != edited.after {
            return Err(ToolOutcome::failed(format!(
                "{target} exists, so {from} is not moved there; nothing was changed"
            )));
        }
        Ok(vec![
            Change {
                path: target,
                before: there,
                after: edited.after,
            },
            Change {
                path: from,
                before: edited.before,
                after: None,
            },
        ])
    }
}

impl Tool for ApplyPatchTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, arguments: &Value) -> Result<Touched, String> {
        let patch = arguments.get("patch").and_then(Value::as_str).unwrap_or("");
        let files = parse::parse(patch).map_err(|reason| format!("the patch cannot be read: {reason}"))?;
        let mut paths: Vec<&str> = Vec::new();
        for file in &files {
            paths.push(&file.path);
            if let Operation::Update { move_to: Some(target), .. } = &file.operation {
                paths.push(target);
            }
        }
        self.changer.workspace.touched(&paths).map_err(|error| error.to_string())
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }
}

fn add(path: InsidePath, before: Option<Vec<u8>>, content: String) -> Result<Change, ToolOutcome> {
    let after = Some(content.into_bytes());
    if before.is_some() && before != after {
        return Err(ToolOutcome::failed(format!("{path} exists already; nothing was changed")));
    }
    Ok(Change { path, before, after })
}

fn delete(path: InsidePath, before: Option<Vec<u8>>, context: &ToolContext) -> Result<Change, ToolOutcome> {
    if before.is_none() && !context.is_repeat {
        return Err(ToolOutcome::failed(format!(
            "{path} does not exist, so it cannot be removed; nothing was changed"
        )));
    }
    Ok(Change { path, before, after: None })
}

fn describe(change: &Change) -> String {
    let word = match (&change.before, &change.after) {
        _ if change.is_nothing() => "is as the patch wants it already",
        (None, _) => "made",
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "removed",
    };
    format!("{} {word}", change.path)
}
