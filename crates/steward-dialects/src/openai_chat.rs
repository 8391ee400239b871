//! The dialect.

pub(crate) mod decode_response;
pub(crate) mod decode_stream;
pub(crate) mod encode_request;
pub(crate) mod encode_response;
pub(crate) mod encode_stream;

use serde_json::{Value, json};

/// E.
pub(crate) fn error_object(_status: u16, code: &str, message: &str) -> Value {
    json!({"error":{"code":code,"message":message}})
}
pub(crate) mod decode_request;
