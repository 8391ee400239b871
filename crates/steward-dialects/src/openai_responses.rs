//! OpenAI responses. Errors have the form that `openai_chat` writes.
//!
//! No answer is stored, neither here nor at the provider, unless the caller's `store` says so to a target of the same dialect.

mod decode_input;
pub(crate) mod decode_request;
pub(crate) mod decode_response;
pub(crate) mod decode_stream;
pub(crate) mod encode_request;
pub(crate) mod encode_response;
pub(crate) mod encode_stream;
mod items;
pub(crate) mod usage;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod ingress_tests;
