//! How much to think, as a word and as tokens. The steps are chosen so that a word turned into tokens turns back into itself.

use steward_domain::model::Reasoning;

/// The token budget; `None` for an effort of `none`.
pub(crate) fn budget_tokens(reasoning: &Reasoning) -> Option<u64> {
    match reasoning {
        Reasoning::BudgetTokens(0) => None,
        Reasoning::BudgetTokens(tokens) => Some(*tokens),
        Reasoning::Effort(word) => match word.as_str() {
            "none" => None,
            "minimal" => Some(1024),
            "low" => Some(2048),
            "medium" => Some(8192),
            "high" => Some(16_384),
            // `xhigh`, `max` and whatever comes next.
            _ => Some(32_768),
        },
    }
}

/// The effort as OpenAI's word.
pub(crate) fn effort(reasoning: &Reasoning) -> &str {
    match reasoning {
        Reasoning::Effort(word) => word,
        Reasoning::BudgetTokens(0) => "none",
        Reasoning::BudgetTokens(1..=1024) => "minimal",
        Reasoning::BudgetTokens(1025..=4096) => "low",
        Reasoning::BudgetTokens(4097..=12_288) => "medium",
        Reasoning::BudgetTokens(_) => "high",
    }
}
