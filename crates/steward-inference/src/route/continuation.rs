//! Going on with an answer that broke off: another target gets the text so far as the beginning of its own answer.
//!
//! Only for plain text, and only where the target's dialect allows it. Nothing is told twice and nothing is left out.

use steward_domain::message::{Message, Role};
use steward_domain::model::{AnswerFormat, ModelEvent, ModelRequest};

use super::call::{Call, Opened};
use super::outcome::Failures;
use crate::estimate::{estimate_tokens, tokens_of_chars};
use crate::needs::Needs;

/// No answer is continued more often than this.
const LIMIT: u32 = 3;

/// What was delivered of an answer.
pub(crate) struct Delivered {
    chars: u64,
    /// The text so far; `None` when the answer cannot be continued.
    text: Option<String>,
    /// White space at the end of the text that the next target was not shown, because no dialect takes it there.
    owed: String,
    /// The most output tokens the caller allowed.
    limit_tokens: Option<u64>,
    continuations: u32,
    broken: Vec<u16>,
}

impl Delivered {
    /// Nothing so far. What only a continuation would need is let go where there can be none.
    pub(crate) fn of(call: &mut Call, answering: u16) -> Self {
        let is_possible = call.plan.continues && is_plain(&call.request) && has_other(call, answering);
        if !is_possible {
            // A long conversation need not stay in memory for as long as its answer takes.
            call.request = ModelRequest::new("", Vec::new());
        }
        Delivered {
            chars: 0,
            text: is_possible.then(String::new),
            owed: String::new(),
            limit_tokens: call.request.max_output_tokens,
            continuations: 0,
            broken: Vec::new(),
        }
    }

    /// An event as the caller gets it: white space that was told already is not told again. `None` when nothing is left.
    pub(crate) fn fitted(&mut self, event: ModelEvent) -> Option<ModelEvent> {
        if self.owed.is_empty() {
            return Some(event);
        }
        let ModelEvent::Text(text) = event else { return Some(event) };
        let common = self
            .owed
            .chars()
            .zip(text.chars())
            .take_while(|(owed, new)| owed == new)
            .map(|(_, new)| new.len_utf8())
            .sum();
        let is_all_of_it = common == text.len();
        if is_all_of_it {
            self.owed.drain(..common);
            return None;
        }
        self.owed.clear();
        Some(ModelEvent::Text(text[common..].to_owned()))
    }

    /// Notes what the caller gets.
    pub(crate) fn take(&mut self, event: &ModelEvent, chars: u64) {
        self.chars += chars;
        match (event, &mut self.text) {
            (ModelEvent::Text(more), Some(text)) => text.push_str(more),
            (_, Some(_)) => self.text = None,
            (_, None) => {}
        }
    }

    /// For people.
    pub(crate) fn described(&self) -> String {
        match self.chars {
            0 => "nothing of the answer had been delivered".to_owned(),
            chars => format!(
                "{chars} characters of the answer, about {} tokens, had been delivered",
                tokens_of_chars(chars)
            ),
        }
    }

    /// Looks for a target that goes on after `broken` broke off.
    pub(crate) async fn go_on(&mut self, call: &mut Call, broken: u16) -> Option<Opened> {
        let text = self.text.as_ref()?;
        if self.continuations >= LIMIT || call.time_left().is_zero() {
            return None;
        }
        self.continuations += 1;
        self.broken.push(broken);
        let shown = text.trim_end();
        text[shown.len()..].clone_into(&mut self.owed);
        if let Some(limit) = self.limit_tokens {
            let left = limit.saturating_sub(tokens_of_chars(self.chars));
            if left == 0 {
                return None;
            }
            call.request.max_output_tokens = Some(left);
        }
        let has_earlier = self.continuations > 1;
        if has_earlier && call.request.messages.last().is_some_and(|message| message.role == Role::Assistant) {
            call.request.messages.pop();
        }
        if !shown.is_empty() {
            call.request.messages.push(Message::text(Role::Assistant, shown));
        }
        call.input_tokens = estimate_tokens(&call.request);
        call.needs = Needs::of(&call.request, call.input_tokens);
        call.failures = Failures::default();
        call.order.clear();
        let order = call.record.order();
        let can_go_on = |index: &u16| !self.broken.contains(index) && call.plan.targets[usize::from(*index)].can_prefill;
        call.order.extend(order.into_iter().filter(can_go_on));
        call.next = 0;
        call.find().await.ok()
    }
}

/// Text in, text out: no tools, no form to keep, no thinking that would have to come first.
fn is_plain(request: &ModelRequest) -> bool {
    let ends_with_question = request.messages.last().is_some_and(|message| message.role == Role::User);
    request.tools.is_empty() && request.format == AnswerFormat::Text && request.reasoning.is_none() && ends_with_question
}

fn has_other(call: &Call, answering: u16) -> bool {
    let is_other = |(index, target): (usize, &std::sync::Arc<crate::tables::Target>)| index != usize::from(answering) && target.can_prefill;
    call.plan.targets.iter().enumerate().any(is_other)
}
