//! Gemini generateContent.
//!
//! Holds what the files of this dialect share: the error object.

mod decode_contents;
pub(crate) mod decode_request;
pub(crate) mod decode_response;
pub(crate) mod decode_stream;
pub(crate) mod encode_request;
pub(crate) mod encode_response;
pub(crate) mod encode_stream;
mod logprobs;
mod parts;
mod schema;
pub(crate) mod usage;
pub(crate) mod words;

use serde_json::{Value, json};

/// The error object; `error` is its first key. The fixed code stands as the reason among the details.
pub(crate) fn error_object(status: u16, code: &str, message: &str) -> Value {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        402 | 403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        413 => "OUT_OF_RANGE",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "FAILED_PRECONDITION",
    };
    let info = json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "steward" });
    json!({ "error": { "code": status, "message": message, "status": name, "details": [info] } })
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod ingress_tests;
