//! Typed ids. Each is a short prefix and a time-ordered random part, so that sorting by id sorts by age.
//!
//! An id never carries meaning that a caller may parse out of it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes text that is already such an id or name.
            pub fn from_text(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        name_type!($(#[$doc])* $name);

        impl $name {
            /// Makes a new id that no other process makes (UUID version 7, RFC 9562).
            pub fn generate() -> Self {
                Self(format!(concat!($prefix, "_{}"), uuid::Uuid::now_v7().simple()))
            }
        }
    };
}

id_type!(
    /// One turn: from new messages to the final reply.
    TurnId, "turn"
);
id_type!(
    /// One thread on one channel with one agent.
    SessionId, "ses"
);
id_type!(
    /// One message that came in.
    InboundId, "in"
);
id_type!(
    /// One reply waiting for, or holding, its receipt.
    OutboxId, "out"
);
id_type!(
    /// One question to a person.
    ApprovalId, "apr"
);
id_type!(
    /// One access key.
    KeyId, "key"
);
id_type!(
    /// One model call, shown to callers as `x-steward-request-id`.
    RequestId, "req"
);
id_type!(
    /// One large content kept outside the rows.
    BlobId, "blob"
);
id_type!(
    /// A tool call. Ids that a model gives are kept as they are.
    CallId, "call"
);
name_type!(
    /// The name of an agent, as in `[agents.NAME]`.
    AgentName
);
name_type!(
    /// The name of a channel: `web`, `terminal`, `api`, `telegram` …
    ChannelName
);
