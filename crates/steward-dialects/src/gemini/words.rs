//! Finish reasons, both ways.

use steward_domain::model::FinishReason;

/// The reason a word stands for; unknown words mean that the model was done.
pub(crate) fn finish_reason(word: &str) -> FinishReason {
    match word {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" | "IMAGE_SAFETY" => FinishReason::ContentFilter,
        _ => FinishReason::Stop,
    }
}

/// The word for a reason.
pub(crate) fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
    }
}
