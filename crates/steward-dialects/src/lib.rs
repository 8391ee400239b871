#![doc = include_str!("../README.md")]

pub mod egress;
pub mod embeddings;
pub mod error;
pub mod extra;
pub mod fold;
pub mod forward;
pub mod ingress;
pub mod sse;

mod anthropic;
mod emitter;
#[cfg(test)]
mod fixtures;
mod gemini;
#[cfg(test)]
mod golden;
mod json;
mod kin;
mod media;
mod openai_chat;
mod openai_responses;
mod reasoning;
mod seal;

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `/v1/chat/completions`.
    OpenAiChat,
    /// `/v1/responses`.
    OpenAiResponses,
    /// `/v1/messages`.
    Anthropic,
    /// `/v1beta/models/{model}:generateContent`.
    Gemini,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 4] = [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAiChat => "openai-chat",
            Dialect::OpenAiResponses => "openai-responses",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
        }
    }

    /// The dialect of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

#[cfg(test)]
mod tests;
