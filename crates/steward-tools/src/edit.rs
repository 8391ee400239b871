//! `edit`: replaces one text, which must occur exactly once.
//!
//! Works on bytes, so a file that is not UTF-8 keeps every other byte. After a crash it tells whether it was done.

mod hint;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::Touched;
use steward_domain::message::Part;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{named, parse, settle};
use crate::change::{Change, Changer};
use crate::workspace::FileError;

pub(crate) struct EditTool {
    spec: ToolSpec,
    changer: Changer,
}

#[derive(Deserialize)]
struct Arguments {
    path: String,
    old: String,
    new: String,
}

impl EditTool {
    pub(crate) fn new(changer: Changer) -> Self {
        let spec = ToolSpec {
            name: "edit",
            group: "files",
            description: include_str!("../prompts/edit.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": { "path": { "type": "string" }, "old": { "type": "string" }, "new": { "type": "string" } },
                "required": ["path", "old", "new"]
            }),
            effect: Effect::Writes,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        EditTool { spec, changer }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { path, old, new } = parse(arguments)?;
        if old.is_empty() {
            return Err(ToolOutcome::failed("`old` is empty; use write to make a file"));
        }
        if old == new {
            return Err(ToolOutcome::failed("`old` and `new` are the same, so there is nothing to change"));
        }
        let path = self.changer.workspace.locate(&path)?;
        let before = self
            .changer
            .read(&path)
            .await?
            .ok_or_else(|| FileError::Missing { path: path.to_string() })?;
        if context.is_repeat {
            let was_done = self.changer.was_done(&path, Some(&before), &context).await;
            if was_done.unwrap_or_else(|| looks_done(&before, &old, &new)) {
                let evidence = vec![
                    Change {
                        path: path.clone(),
                        before: None,
                        after: Some(before),
                    }
                    .evidence(),
                ];
                let said = format!("{path} holds this edit already");
                return Ok(ToolOutcome::Done(ToolOutput {
                    parts: vec![Part::text(said)],
                    evidence,
                }));
            }
        }
        let (position, after) = replace_once(&before, &old, &new).map_err(|reason| ToolOutcome::failed(format!("{path}: {reason}")))?;
        let line = before[..position].iter().filter(|byte| **byte == b'\n').count() + 1;
        let change = Change {
            path,
            before: Some(before),
            after: Some(after),
        };
        let said = format!("edited {} at line {line}", change.path);
        let evidence = vec![change.evidence()];
        self.changer.save(&change, &context).await?;
        self.changer.make(vec![change]).await?;
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(said)],
            evidence,
        }))
    }
}

impl Tool for EditTool {
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

/// Where nobody kept what was done: `new` is there, and `old` is nowhere but inside it.
fn looks_done(now: &[u8], old: &str, new: &str) -> bool {
    let has_new = new.is_empty() || count(now, new.as_bytes()) > 0;
    let left = count(now, old.as_bytes());
    let inside_new = count(new.as_bytes(), old.as_bytes()) * count(now, new.as_bytes());
    has_new && left <= inside_new
}

/// The file with `old` replaced, and where it was.
fn replace_once(before: &[u8], old: &str, new: &str) -> Result<(usize, Vec<u8>), String> {
    let uses_crlf = !old.contains('\r') && old.contains('\n') && count(before, b"\r\n") > 0 && count(before, old.as_bytes()) == 0;
    let (old, new) = match uses_crlf {
        true => (old.replace('\n', "\r\n"), new.replace("\r\n", "\n").replace('\n', "\r\n")),
        false => (old.to_owned(), new.to_owned()),
    };
    match count(before, old.as_bytes()) {
        1 => {}
        0 => {
            let hint = hint::nearest(&String::from_utf8_lossy(before), &old).unwrap_or_default();
            return Err(format!("`old` does not occur{hint}"));
        }
        many => return Err(format!("`old` occurs {many} times; add lines around it until it occurs once")),
    }
    let position = find(before, old.as_bytes(), 0).expect("it was counted just now");
    let mut after = before[..position].to_vec();
    after.extend_from_slice(new.as_bytes());
    after.extend_from_slice(&before[position + old.len()..]);
    Ok((position, after))
}

fn find(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(&text[from..], wanted).map(|position| from + position)
}

/// More places than this are not counted.
const MAX_COUNT: usize = 1000;

/// How often `wanted` occurs, overlapping places included: each of them is a place that could be meant.
fn count(text: &[u8], wanted: &[u8]) -> usize {
    if wanted.is_empty() {
        return 0;
    }
    let mut from = 0;
    let mut count = 0;
    while let Some(position) = find(text, wanted, from).filter(|_| count < MAX_COUNT) {
        count += 1;
        from = position + 1;
    }
    count
}

#[cfg(test)]
mod tests;
