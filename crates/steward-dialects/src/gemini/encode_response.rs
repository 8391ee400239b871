//! Writes an answer as one Gemini answer for a caller.

use serde_json::{Value, json};
use steward_domain::message::Part;

use super::{logprobs, parts, usage, words};
use crate::Dialect;
use crate::fold::Answer;
use crate::ingress::IngressOptions;

/// See [`crate::ingress::encode_response`].
pub(crate) fn encode_response(answer: &Answer, options: &IngressOptions) -> Value {
    let encoded: Vec<Value> = answer.message.parts.iter().filter_map(parts::encode_answer_part).collect();
    let content = json!({ "role": "model", "parts": encoded });
    let mut candidate = json!({ "content": content, "finishReason": words::finish_word(answer.finish.reason), "index": 0 });
    for part in &answer.message.parts {
        let Part::Opaque { dialect, value } = part else { continue };
        if let Some(entries) = value.get("logprobs").filter(|_| dialect == Dialect::OpenAiChat.name()) {
            candidate["logprobsResult"] = logprobs::encode(entries);
        }
        if let Some(grounding) = value.get("groundingMetadata").filter(|_| dialect == Dialect::Gemini.name()) {
            candidate["groundingMetadata"] = grounding.clone();
        }
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage::encode_usage(&answer.finish),
        "modelVersion": options.model,
        "responseId": options.id,
    })
}
