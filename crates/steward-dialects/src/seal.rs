//! Whose seal a thought carries. A seal means something only to the provider that made it, and others refuse the whole request for it.
//!
//! In the domain Anthropic's and chat servers' seals stand as they came; the others' are kept as `dialect:seal`. No seal has a colon in it.
//! A caller of another dialect sees a foreign seal under its owner's name and gives it back so; its own dialect's it sees bare.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use steward_domain::id::CallId;
use steward_domain::message::Part;

use crate::Dialect;

/// Stands before the seal of a tool call where a caller's dialect has no place for it at the call.
const OF_CALL: &str = "call:";

/// Owner's names of seals that stand bare in the domain, as callers of the two newer dialects see them.
const BARE: &str = "anthropic:";
const BARE_REDACTED: &str = "anthropic-redacted:";

/// A provider's seal as the domain keeps it. The provider may be another gateway that names the owner.
pub(crate) fn keep(dialect: Dialect, seal: &str) -> String {
    take_back(dialect, seal).0.unwrap_or_default()
}

fn owned_by(dialect: Dialect, seal: &str) -> String {
    match dialect {
        Dialect::Anthropic | Dialect::OpenAiChat => seal.to_owned(),
        Dialect::OpenAiResponses | Dialect::Gemini => format!("{}:{seal}", dialect.name()),
    }
}

/// The seal as `dialect` gave it; `None` when another one gave it.
pub(crate) fn for_dialect(dialect: Dialect, kept: &str) -> Option<&str> {
    match kept.split_once(':') {
        Some((owner, seal)) => (owner == dialect.name()).then_some(seal),
        None => match dialect {
            Dialect::Anthropic | Dialect::OpenAiChat => Some(kept),
            Dialect::OpenAiResponses | Dialect::Gemini => None,
        },
    }
}

/// The seal as a caller sees it: its own dialect's bare, others under their owner's name. Gemini's clients take only base64.
pub(crate) fn show(dialect: Dialect, kept: &str, is_redacted: bool) -> String {
    if matches!(dialect, Dialect::Anthropic | Dialect::OpenAiChat) {
        return kept.to_owned();
    }
    if let Some(own) = for_dialect(dialect, kept) {
        return own.to_owned();
    }
    let named = match (kept.contains(':'), is_redacted) {
        (true, _) => kept.to_owned(),
        (false, false) => format!("{BARE}{kept}"),
        (false, true) => format!("{BARE_REDACTED}{kept}"),
    };
    match dialect {
        Dialect::Gemini => STANDARD.encode(named),
        Dialect::OpenAiResponses | Dialect::Anthropic | Dialect::OpenAiChat => named,
    }
}

/// The seal a caller gives back, as the domain keeps it, and whether it hides the whole thought. The reverse of [`show`].
pub(crate) fn take_back(dialect: Dialect, shown: &str) -> (Option<String>, bool) {
    if shown.is_empty() {
        return (None, false);
    }
    let unwrapped = match dialect {
        Dialect::Gemini => STANDARD.decode(shown).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        Dialect::OpenAiResponses | Dialect::Anthropic | Dialect::OpenAiChat => None,
    };
    let named = unwrapped.as_deref().unwrap_or(shown);
    if let Some(bare) = named.strip_prefix(BARE_REDACTED) {
        return (Some(bare.to_owned()), true);
    }
    if let Some(bare) = named.strip_prefix(BARE) {
        return (Some(bare.to_owned()), false);
    }
    let has_owner = named.starts_with(OF_CALL) || Dialect::ALL.iter().any(|owner| is_owned(named, *owner));
    let kept = if has_owner { named.to_owned() } else { owned_by(dialect, shown) };
    (Some(kept), false)
}

fn is_owned(named: &str, owner: Dialect) -> bool {
    named.strip_prefix(owner.name()).is_some_and(|rest| rest.starts_with(':'))
}

/// A tool call's seal as one of a hidden thought, for dialects that have no place for it at the call.
pub(crate) fn of_call(id: &CallId, seal: &str) -> String {
    format!("{OF_CALL}{id}:{seal}")
}

/// Gives the seals of hidden thoughts that belong to calls to these calls. `parts` are those of one message.
pub(crate) fn give_to_calls(parts: &mut Vec<Part>) {
    let mut seals: Vec<(String, String)> = Vec::new();
    parts.retain(|part| {
        let Part::Thinking { signature: Some(kept), .. } = part else {
            return true;
        };
        // An id may hold colons, a seal holds none.
        let Some((id, seal)) = kept.strip_prefix(OF_CALL).and_then(|rest| rest.rsplit_once(':')) else {
            return true;
        };
        seals.push((id.to_owned(), seal.to_owned()));
        false
    });
    for part in parts {
        if let Part::ToolCall(call) = part
            && let Some((_, seal)) = seals.iter().find(|(id, _)| id == call.id.as_str())
        {
            call.signature = Some(seal.clone());
        }
    }
}

#[cfg(test)]
mod tests;
