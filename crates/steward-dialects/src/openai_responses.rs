//! OpenAI responses. Errors have the form that `openai_chat` writes.
//!
//! Requests of callers in this dialect are not read yet; what goes out to providers, and answers, are complete.

pub(crate) mod decode_response;
pub(crate) mod decode_stream;
pub(crate) mod encode_request;
pub(crate) mod encode_response;
pub(crate) mod encode_stream;
mod items;
mod usage;

#[cfg(test)]
mod tests;
