//! Anthropic messages.
//!
//! Holds what the files of this dialect share: the error object and the tool that stands in for a native JSON schema.

mod content;
pub(crate) mod decode_request;
pub(crate) mod decode_response;
pub(crate) mod decode_stream;
pub(crate) mod encode_request;
pub(crate) mod encode_response;
pub(crate) mod encode_stream;
pub(crate) mod usage;
pub(crate) mod words;

use serde_json::{Value, json};

/// The tool a model is made to call where it cannot be held to a schema otherwise; its arguments are the answer's text.
pub(crate) const ANSWER_TOOL: &str = "give_answer";

/// The error object. `code` is an addition to Anthropic's own fields.
pub(crate) fn error_object(status: u16, code: &str, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message, "code": code } })
}

#[cfg(test)]
mod tests;
