//! From the calls a model asks for to their outcomes: check, decide, then run, refuse or park.
//!
//! Reads run in parallel, everything else in order. A call without a known result after a crash is run again only if
//! its tool says it may be.

use futures_util::future::join_all;
use serde_json::Value;
use steward_domain::decision::{Decision, Effect, Marks, Ruling};
use steward_domain::journal::{CallIntent, JournalEvent};
use steward_domain::message::{Message, Part, ToolCall};
use steward_domain::tool::{Repeat, ToolContext, ToolOutcome, ToolOutput};

use crate::ask;
use crate::context::cut;
use crate::live::LiveEvent;
use crate::sink::SinkError;
use crate::state::{CallState, TurnState};
use crate::turn::Loop;

/// What became of a step's calls.
pub(crate) enum Settled {
    /// All have an outcome.
    All,
    /// A person is asked.
    Waiting,
}

impl Loop<'_> {
    /// The intents of an answer: each call checked and decided.
    pub(crate) fn intents(&self, message: &Message, marks: Marks) -> Vec<CallIntent> {
        message
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some(self.intent(call, marks)),
                Part::Text { .. }
                | Part::Image { .. }
                | Part::File { .. }
                | Part::Thinking { .. }
                | Part::ToolResult { .. }
                | Part::Opaque { .. } => None,
            })
            .collect()
    }

    fn intent(&self, call: &ToolCall, marks: Marks) -> CallIntent {
        let intent = |arguments, touched, (effect, repeat), ruling| CallIntent {
            id: call.id.clone(),
            tool: call.name.clone(),
            arguments,
            touched,
            effect,
            repeat,
            ruling,
        };
        let unfit = |reason| Ruling {
            decision: Decision::Deny,
            reason,
            rule: UNFIT.into(),
        };
        let harmless = (Effect::Reads, Repeat::Safe);
        let arguments = match self.turn.tools.check(&call.name, &call.arguments) {
            Ok(arguments) => arguments,
            Err(reason) => return intent(Value::String(call.arguments.clone()), None, harmless, unfit(reason)),
        };
        let Some(tool) = self.turn.tools.get(&call.name) else {
            return intent(arguments, None, harmless, ask::ruling());
        };
        let effect = tool.effect_of(&arguments);
        let kind = (effect, tool.spec().repeat);
        let touched = match tool.touches(&arguments) {
            Ok(touched) => touched,
            Err(reason) => return intent(arguments, None, kind, unfit(reason)),
        };
        let decided_on = (!touched.files.is_empty()).then(|| Box::new(touched.clone()));
        let ruling = self
            .turn
            .gate
            .decide(&self.question(&call.name, &arguments, (effect, touched), marks));
        intent(arguments, decided_on, kind, ruling)
    }

    /// Brings every open call of the last step to an outcome, or parks the turn.
    ///
    /// `is_recovery`: the process that journaled the intents is gone, so a call may have begun already.
    pub(crate) async fn settle_calls(&self, state: &mut TurnState, mut is_recovery: bool) -> Result<Settled, SinkError> {
        while let Some(group) = next_group(&state.calls) {
            if group.iter().any(is_unanswered) {
                self.open_approvals(state).await?;
                return Ok(Settled::Waiting);
            }
            let outcomes = join_all(group.iter().map(|call| self.settle_call(call, is_recovery))).await;
            let is_ordered = group.iter().any(|call| call.intent.repeat == Repeat::Never);
            for (call, outcome) in group.iter().zip(outcomes) {
                self.finish_call(state, &call.intent, outcome?, is_ordered).await?;
            }
            // Calls are run in order, so what comes after the first ordered call cannot have begun.
            is_recovery &= !is_ordered;
        }
        Ok(Settled::All)
    }

    async fn open_approvals(&self, state: &mut TurnState) -> Result<(), SinkError> {
        let unanswered: Vec<CallIntent> = state
            .calls
            .iter()
            .filter(|call| is_unanswered(call))
            .map(|call| call.intent.clone())
            .collect();
        for intent in unanswered {
            let is_open = state
                .calls
                .iter()
                .any(|call| call.intent.id == intent.id && call.approval.is_some());
            if !is_open {
                let call = intent.id.clone();
                let approval = self.sink.open_approval(intent).await?;
                state.apply(&JournalEvent::ApprovalOpened { approval, call });
            }
        }
        Ok(())
    }

    async fn settle_call(&self, call: &CallState, is_recovery: bool) -> Result<ToolOutcome, SinkError> {
        let intent = &call.intent;
        match intent.ruling.decision {
            Decision::Deny if intent.ruling.rule == UNFIT => return Ok(ToolOutcome::failed(&intent.ruling.reason)),
            Decision::Deny => {
                return Ok(ToolOutcome::Refused {
                    reason: intent.ruling.reason.clone(),
                });
            }
            Decision::Ask => {
                let (is_allowed, note) = call.answer.clone().unwrap_or_default();
                if intent.tool == ask::NAME {
                    return Ok(answer_outcome(is_allowed, note));
                }
                if !is_allowed {
                    return Ok(ToolOutcome::Refused { reason: refusal(&note) });
                }
            }
            Decision::Allow => {}
        }
        let may_have_begun = is_recovery && call.may_have_begun();
        #[cfg(feature = "sabotage")]
        let may_have_begun = may_have_begun && !crate::sabotage::is_out(crate::sabotage::Guard::Repeats);
        if may_have_begun && intent.repeat == Repeat::Never {
            let reason =
                "Steward was restarted while this call ran; it may have taken effect. Check the state of the world before anything else.";
            return Ok(ToolOutcome::Uncertain { reason: reason.into() });
        }
        if intent.ruling.decision == Decision::Ask && !call.was_started {
            self.sink.record(JournalEvent::CallStarted { call: intent.id.clone() }).await?;
        }
        self.run_tool(intent, may_have_begun).await
    }

    async fn run_tool(&self, intent: &CallIntent, is_repeat: bool) -> Result<ToolOutcome, SinkError> {
        if let Some(outcome) = self.read_blob(intent).await {
            return Ok(outcome);
        }
        let Some(tool) = self.turn.tools.get(&intent.tool) else {
            return Ok(ToolOutcome::failed(format!("the tool {} is gone", intent.tool)));
        };
        let files = match self.confirm(tool.as_ref(), intent) {
            Ok(files) => files,
            Err(reason) => return Ok(ToolOutcome::Refused { reason }),
        };
        let context = ToolContext {
            files,
            turn: self.turn.id.clone(),
            session: self.turn.session.clone(),
            agent: self.turn.agent.clone(),
            call: intent.id.clone(),
            is_repeat,
        };
        let outcome = tool.call(intent.arguments.clone(), context).await;
        Ok(if tool.spec().gives_outside {
            fenced(outcome, &intent.tool)
        } else {
            outcome
        })
    }

    /// `read {"path": "blob:ID"}` reads on in an output that was capped.
    async fn read_blob(&self, intent: &CallIntent) -> Option<ToolOutcome> {
        let path = intent.arguments.get("path").and_then(Value::as_str)?;
        let blob = path.strip_prefix("blob:").filter(|_| intent.tool == "read")?;
        let line = |name: &str, otherwise: usize| {
            intent
                .arguments
                .get(name)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(otherwise)
        };
        let lines = (line("from", 1), line("to", usize::MAX));
        Some(
            match self.sink.blobs().read(blob, lines, self.turn.limits.tool_output_chars).await {
                Ok(text) => ToolOutcome::done(text),
                Err(error) => ToolOutcome::failed(error.to_string()),
            },
        )
    }

    async fn finish_call(
        &self,
        state: &mut TurnState,
        intent: &CallIntent,
        outcome: ToolOutcome,
        is_ordered: bool,
    ) -> Result<(), SinkError> {
        let (outcome, blob) = self.capped(intent, outcome).await?;
        self.sink.show(LiveEvent::CallFinished {
            call: intent.id.clone(),
            outcome: word_of(&outcome),
            output: text_of(&outcome),
        });
        let event = JournalEvent::CallFinished {
            call: intent.id.clone(),
            outcome,
            blob,
        };
        state.apply(&event);
        // What cannot be repeated must be known to have happened before anything else does.
        if is_ordered {
            self.sink.record(event).await
        } else {
            self.sink.record_later(event);
            Ok(())
        }
    }

    async fn capped(&self, intent: &CallIntent, outcome: ToolOutcome) -> Result<(ToolOutcome, Option<String>), SinkError> {
        let cap = self.turn.limits.tool_output_chars;
        let ToolOutcome::Done(output) = outcome else {
            return Ok((outcome, None));
        };
        let is_long = output
            .parts
            .iter()
            .any(|part| matches!(part, Part::Text { text, .. } if text.len() > cap && text.chars().count() > cap));
        if !is_long {
            return Ok((ToolOutcome::Done(output), None));
        }
        let whole: Vec<String> = output
            .parts
            .iter()
            .filter_map(|part| {
                if let Part::Text { text, .. } = part {
                    Some(text.clone())
                } else {
                    None
                }
            })
            .collect();
        let blob = self.sink.blobs().keep(&intent.id, whole.join("\n")).await?;
        let parts = output.parts.into_iter().map(|part| capped_part(part, cap, &blob)).collect();
        Ok((
            ToolOutcome::Done(ToolOutput {
                parts,
                evidence: output.evidence,
            }),
            Some(blob),
        ))
    }
}

/// The rule named when the arguments or the tool's name are wrong: a mistake, not a matter of rights.
const UNFIT: &str = "unfit";

/// The next calls to run together: consecutive reads, or one other call.
fn next_group(calls: &[CallState]) -> Option<Vec<CallState>> {
    let open: Vec<&CallState> = calls.iter().filter(|call| call.outcome.is_none()).collect();
    let first = open.first()?;
    if !is_parallel(first) {
        return Some(vec![(*first).clone()]);
    }
    Some(open.into_iter().take_while(|call| is_parallel(call)).cloned().collect())
}

fn is_parallel(call: &CallState) -> bool {
    let runs_at_once = call.intent.ruling.decision != Decision::Ask;
    runs_at_once && call.intent.effect == Effect::Reads && call.intent.repeat == Repeat::Safe
}

fn is_unanswered(call: &CallState) -> bool {
    call.outcome.is_none() && call.intent.ruling.decision == Decision::Ask && call.answer.is_none()
}

fn refusal(note: &str) -> String {
    if note.is_empty() {
        "the person said no".into()
    } else {
        format!("the person said no: {note}")
    }
}

fn answer_outcome(is_answered: bool, note: String) -> ToolOutcome {
    if is_answered {
        ToolOutcome::done(note)
    } else {
        ToolOutcome::Refused {
            reason: "the person did not answer".into(),
        }
    }
}

fn capped_part(part: Part, cap: usize, blob: &str) -> Part {
    match part {
        Part::Text { text, cache_control } => {
            let (kept, cut_chars) = cut(&text, cap);
            if cut_chars == 0 {
                return Part::Text { text, cache_control };
            }
            let more = format!(
                "{kept}\n[{cut_chars} characters are cut here; read {{\"path\": \"blob:{blob}\", \"from\": …, \"to\": …}} gives the rest by lines]"
            );
            Part::text(more)
        }
        other @ (Part::Image { .. }
        | Part::File { .. }
        | Part::Thinking { .. }
        | Part::ToolCall(_)
        | Part::ToolResult { .. }
        | Part::Opaque { .. }) => other,
    }
}

/// Puts a fence around text from outside; a fence inside the text is broken so that it cannot close ours.
fn fenced(outcome: ToolOutcome, tool: &str) -> ToolOutcome {
    let ToolOutcome::Done(mut output) = outcome else { return outcome };
    for part in &mut output.parts {
        if let Part::Text { text, .. } = part {
            let harmless = text
                .replace("<outside", "<\u{200b}outside")
                .replace("</outside", "<\u{200b}/outside");
            *text = format!("<outside source=\"{tool}\">\n{harmless}\n</outside>");
        }
    }
    ToolOutcome::Done(output)
}

/// The word for an outcome in rows and on screens.
pub(crate) fn word_of(outcome: &ToolOutcome) -> &'static str {
    match outcome {
        ToolOutcome::Done(_) => "done",
        ToolOutcome::Failed { .. } => "failed",
        ToolOutcome::Refused { .. } => "refused",
        ToolOutcome::Uncertain { .. } => "uncertain",
    }
}

fn text_of(outcome: &ToolOutcome) -> String {
    match outcome {
        ToolOutcome::Done(output) => {
            let texts: Vec<&str> = output
                .parts
                .iter()
                .filter_map(|part| {
                    if let Part::Text { text, .. } = part {
                        Some(text.as_str())
                    } else {
                        None
                    }
                })
                .collect();
            texts.join("\n")
        }
        ToolOutcome::Failed { reason } => format!("failed: {reason}"),
        ToolOutcome::Refused { reason } => format!("refused: {reason}"),
        ToolOutcome::Uncertain { reason } => format!("uncertain: {reason}"),
    }
}
