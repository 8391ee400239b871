//! Writes an answer as one Gemini answer for a caller.

use serde_json::{Value, json};

use super::{parts, usage, words};
use crate::fold::Answer;
use crate::ingress::IngressOptions;

/// See [`crate::ingress::encode_response`].
pub(crate) fn encode_response(answer: &Answer, options: &IngressOptions) -> Value {
    let encoded: Vec<Value> = answer.message.parts.iter().filter_map(parts::encode_answer_part).collect();
    let content = json!({ "role": "model", "parts": encoded });
    let candidate = json!({ "content": content, "finishReason": words::finish_word(answer.finish.reason), "index": 0 });
    json!({
        "candidates": [candidate],
        "usageMetadata": usage::encode_usage(&answer.finish),
        "modelVersion": options.model,
        "responseId": options.id,
    })
}
