//! What the agent is told to do by its scripted model, and what the workspace must hold afterwards.

use std::collections::BTreeMap;

use serde_json::json;
use steward_testkit::script::{Reply, Script};

/// The file that counts effects: one line for each.
pub(crate) const EFFECTS: &str = "effects.log";
/// The reply that ends a task.
pub(crate) const LAST_WORDS: &str = "All steps are through.";

/// One tool call.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A read.
    Read(&'static str),
    /// An idempotent write of a whole file.
    Write(&'static str, String),
    /// An idempotent change of one text.
    Edit(&'static str, String, String),
    /// A line in [`EFFECTS`], which cannot be repeated without being seen.
    Effect(String),
}

/// Steps of one turn, each with its calls. The final answer is one step more.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) steps: Vec<Vec<Work>>,
}

impl Task {
    /// Twelve steps with every kind of call, alone and together.
    pub(crate) fn mixed() -> Self {
        let effect = |name: &str| Work::Effect(name.to_owned());
        let edit = |path, old: &str, new: &str| Work::Edit(path, old.to_owned(), new.to_owned());
        let steps = vec![
            vec![
                Work::Write("plan.md", "first\nopen\n".into()),
                Work::Write("notes.md", "notes\n".into()),
            ],
            vec![effect("step-2")],
            vec![Work::Read("plan.md"), Work::Read("notes.md"), effect("step-3")],
            vec![edit("plan.md", "open", "half")],
            vec![effect("step-5")],
            vec![Work::Write("report.md", "a report\n".repeat(40)), effect("step-6")],
            vec![Work::Read("report.md")],
            vec![effect("step-8a"), effect("step-8b")],
            vec![edit("plan.md", "half", "whole"), Work::Write("end.md", "end\n".into())],
            vec![effect("step-10")],
            vec![Work::Write("report.md", "another report\n".repeat(30))],
            vec![effect("step-12"), Work::Read("end.md")],
        ];
        Task { steps }
    }

    /// Nineteen steps of one call each, so that with the answer the turn has twenty.
    pub(crate) fn fixed() -> Self {
        let steps = (1..=19).map(|step| {
            vec![match step % 4 {
                1 => Work::Write("plan.md", format!("step {step}\nmark {step}\n")),
                2 => Work::Effect(format!("step-{step}")),
                3 => Work::Edit("plan.md", format!("mark {}", step - 2), format!("mark {step}")),
                _ => Work::Read("plan.md"),
            }]
        });
        Task { steps: steps.collect() }
    }

    /// What the model says at each step. It depends on the conversation alone, so a killed client gets the same again.
    pub(crate) fn script(&self) -> Script {
        let mut replies: Vec<Reply> = self.steps.iter().map(|calls| reply(calls)).collect();
        replies.push(Reply::text(LAST_WORDS));
        Script::by_step(replies)
    }

    /// The files that the idempotent calls must leave.
    pub(crate) fn files(&self) -> BTreeMap<&'static str, String> {
        let mut files = BTreeMap::new();
        for work in self.steps.iter().flatten() {
            match work {
                Work::Write(path, content) => {
                    files.insert(*path, content.clone());
                }
                Work::Edit(path, old, new) => {
                    let content = files.get_mut(path).expect("a task edits what it wrote");
                    assert_eq!(content.matches(old.as_str()).count(), 1, "a task edits a text that occurs once");
                    *content = content.replace(old, new);
                }
                Work::Read(_) | Work::Effect(_) => {}
            }
        }
        files
    }
}

fn reply(calls: &[Work]) -> Reply {
    Reply::calls(calls.iter().map(|work| match work {
        Work::Read(path) => ("read", json!({ "path": path })),
        Work::Write(path, content) => ("write", json!({"path": path, "content": content})),
        Work::Edit(path, old, new) => ("edit", json!({"path": path, "old": old, "new": new})),
        Work::Effect(line) => ("shell", json!({"command": format!("echo {line} >> {EFFECTS}")})),
    }))
}
