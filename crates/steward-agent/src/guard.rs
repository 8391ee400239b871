//! When a turn must end although the model would go on: limits, repeats, no progress.

use serde_json::Value;
use steward_domain::journal::CallIntent;
use steward_domain::limits::TurnLimits;
use steward_domain::tool::ToolOutcome;

use crate::state::TurnState;

/// Failed or refused calls in a row that count as no progress.
const FRUITLESS_CALLS: usize = 8;

/// Why the turn ends, as a sentence for a person; `None` if it may go on.
pub(crate) fn must_end(state: &TurnState, limits: &TurnLimits) -> Option<String> {
    if state.steps_for_message() >= limits.steps {
        return Some(format!(
            "I stopped after {} steps, the limit for one message. Say \"go on\" to continue from here.",
            limits.steps
        ));
    }
    if state.tokens >= limits.tokens {
        return Some(format!(
            "I stopped: this message has used {} tokens, its limit is {}.",
            state.tokens, limits.tokens
        ));
    }
    if state.cost >= limits.turn_usd {
        return Some(format!(
            "I stopped: this message has cost ${}, its limit is ${}.",
            state.cost, limits.turn_usd
        ));
    }
    repeats(&state.finished, limits.repeats)
}

fn repeats(finished: &[(CallIntent, ToolOutcome)], limit: u32) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).max(2);
    let last = finished.last()?;
    let same = finished.iter().filter(|call| is_same(call, last)).count();
    if same >= limit {
        return Some(format!(
            "I stopped: the call of {} gave the same result {same} times, so I was going round in circles.",
            last.0.tool
        ));
    }
    if is_alternating(finished, limit) {
        return Some("I stopped: I was alternating between two calls without getting further.".into());
    }
    let fruitless = finished
        .iter()
        .rev()
        .take_while(|(_, outcome)| !matches!(outcome, ToolOutcome::Done(_)))
        .count();
    if fruitless >= FRUITLESS_CALLS {
        let reason = failure_of(&last.1);
        return Some(format!(
            "I stopped: the last {fruitless} calls did not work. The last one said: {reason}"
        ));
    }
    None
}

fn failure_of(outcome: &ToolOutcome) -> &str {
    match outcome {
        ToolOutcome::Done(_) => "done",
        ToolOutcome::Failed { reason } | ToolOutcome::Refused { reason } | ToolOutcome::Uncertain { reason } => reason,
    }
}

fn is_alternating(finished: &[(CallIntent, ToolOutcome)], limit: usize) -> bool {
    let wanted = limit * 2;
    if finished.len() < wanted {
        return false;
    }
    let tail = &finished[finished.len() - wanted..];
    let differ = !is_same(&tail[0], &tail[1]);
    differ && tail.iter().zip(tail.iter().skip(2)).all(|(a, b)| is_same(a, b))
}

fn is_same(a: &(CallIntent, ToolOutcome), b: &(CallIntent, ToolOutcome)) -> bool {
    // Polling a background process repeats itself by design; its arguments and result stay the same while it works.
    let is_poll = a.0.tool == "shell_poll";
    !is_poll && a.0.tool == b.0.tool && same_arguments(&a.0.arguments, &b.0.arguments) && a.1 == b.1
}

fn same_arguments(a: &Value, b: &Value) -> bool {
    a == b
}

#[cfg(test)]
mod tests;
