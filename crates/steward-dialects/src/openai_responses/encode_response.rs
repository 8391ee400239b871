//! Writes an answer as one response object for a caller.

use serde_json::{Value, json};
use steward_domain::model::FinishReason;

use super::{items, usage};
use crate::fold::Answer;
use crate::ingress::IngressOptions;

/// See [`crate::ingress::encode_response`].
pub(crate) fn encode_response(answer: &Answer, options: &IngressOptions) -> Value {
    let output = items::encode_output(&answer.message.parts, &options.id);
    let mut response = response_object(options, output, end_status(answer.finish.reason).0);
    response["usage"] = usage::encode_usage(&answer.finish);
    if let Some(reason) = end_status(answer.finish.reason).1 {
        response["incomplete_details"] = json!({ "reason": reason });
    }
    response
}

/// A response object without usage.
pub(crate) fn response_object(options: &IngressOptions, output: Vec<Value>, status: &str) -> Value {
    json!({
        "id": options.id,
        "object": "response",
        "created_at": options.created_unix,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "model": options.model,
        "output": output,
        "parallel_tool_calls": true,
        "tool_choice": "auto",
        "tools": [],
        "usage": null,
    })
}

/// The status of an ended response, and why it is incomplete.
pub(crate) fn end_status(reason: FinishReason) -> (&'static str, Option<&'static str>) {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Refusal | FinishReason::Pause => ("completed", None),
        FinishReason::Length => ("incomplete", Some("max_output_tokens")),
        FinishReason::ContentFilter => ("incomplete", Some("content_filter")),
    }
}
