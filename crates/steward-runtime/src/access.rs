//! What a signed-in person or a key may do on the surfaces. One table for all of them.

use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::id::KeyId;
use steward_domain::principal::{Principal, Role};

/// Who makes a call on a surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The principal.
    pub principal: Principal,
    /// Its role.
    pub role: Role,
    /// The user name: of the person, or the one the key belongs to.
    pub user: Option<String>,
    /// The team the key or user belongs to.
    pub team: Option<String>,
    /// The agent a key is bound to.
    pub agent: Option<String>,
    /// The key used, if one was.
    pub key: Option<KeyId>,
}

impl Identity {
    /// The user who owns the home, on the machine itself.
    pub fn owner() -> Self {
        Identity {
            principal: Principal::User("owner".into()),
            role: Role::Owner,
            user: Some("owner".into()),
            team: None,
            agent: None,
            key: None,
        }
    }
}

/// What a call on a surface needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Talk to agents and models.
    Use,
    /// Look at one's own things, or at what the role may read.
    See,
    /// Read what there is of everybody.
    Read,
    /// Answer approvals, stop and undo turns.
    Operate,
    /// Change configuration, keys and users.
    Administer,
}

/// May a role do it?
pub fn may(role: Role, right: Right) -> bool {
    match role {
        Role::Owner | Role::Admin => true,
        Role::Operator => right != Right::Administer,
        Role::Member => matches!(right, Right::Use | Right::See),
        Role::Viewer | Role::Auditor => matches!(right, Right::Read | Right::See),
    }
}

/// May this identity see and steer a thing that belongs to `owner`? Members see their own things only.
pub fn may_see(identity: &Identity, owner: &Principal) -> bool {
    may(identity.role, Right::Read)
        || identity.principal == *owner
        || matches!((&identity.user, owner), (Some(user), Principal::User(name)) if user == name)
}
