//! OpenAI chat completions, the form most providers and local servers speak.
//!
//! Holds what the files of this dialect share: the error object and the choice of the answer's words.

mod calls;
mod content;
pub(crate) mod decode_request;
pub(crate) mod decode_response;
pub(crate) mod decode_stream;
pub(crate) mod encode_request;
pub(crate) mod encode_response;
pub(crate) mod encode_stream;
mod reasoning;
pub(crate) mod usage;
pub(crate) mod words;

use serde_json::{Value, json};

/// The error object of both OpenAI dialects.
pub(crate) fn error_object(status: u16, code: &str, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({ "error": { "message": message, "type": kind, "code": code, "param": null } })
}

#[cfg(test)]
mod tests;
