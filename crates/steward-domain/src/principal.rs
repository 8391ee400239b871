//! Who acts: a person, an agent or the system itself.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Someone or something that acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Principal {
    /// A person, by user name.
    User(String),
    /// A service key without a user, by key name.
    Key(String),
    /// An agent.
    Agent(String),
    /// Steward itself: recovery, background tasks.
    System,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Principal::User(name) => write!(f, "user:{name}"),
            Principal::Key(name) => write!(f, "key:{name}"),
            Principal::Agent(name) => write!(f, "agent:{name}"),
            Principal::System => f.write_str("system"),
        }
    }
}

/// What a principal may do on the surfaces, widest last but one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, other owners included.
    Owner,
    /// Everything but owners.
    Admin,
    /// Agents, routes, approvals; no users or keys.
    Operator,
    /// Talks to agents, sees its own things.
    Member,
    /// Reads.
    Viewer,
    /// Reads, the audit log included.
    Auditor,
}

/// Through which door an action came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// The HTTP API.
    Http,
    /// The web console.
    Console,
    /// The command line.
    Cli,
    /// A chat channel.
    Channel,
    /// An agent's own tool call in a turn.
    Turn,
    /// Steward itself.
    System,
}
