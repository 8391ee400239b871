//! Whose seal a thought carries. A seal means something only to the provider that made it, and others refuse the whole request for it.
//!
//! Anthropic's and chat servers' seals stand as they came; the others' are kept as `dialect:seal`. No seal has a colon in it.

use crate::Dialect;

/// The seal as the domain keeps it.
pub(crate) fn keep(dialect: Dialect, seal: &str) -> String {
    if seal.is_empty() {
        return String::new();
    }
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
