//! Access keys: made once, kept as a keyed hash, checked in constant time.

use std::time::Duration;

use rand::Rng;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use steward_domain::clock::{Timestamp, rfc3339};
use steward_domain::id::{AgentName, KeyId};
use steward_domain::principal::{Principal, Role};
use steward_domain::secret::Secret;
use steward_store::keys::{self, KeyRow};

use crate::access::{Identity, Right, may};
use crate::config::parse_duration;
use crate::error::ServiceError;
use crate::runtime::Runtime;

/// What every key begins with.
pub const PREFIX: &str = "sk-steward-";
/// Random bytes of a key.
const KEY_BYTES: usize = 32;
/// Characters of a key that lists show.
const SHOWN_CHARS: usize = 18;
/// Keys listed at once.
const SHOWN: usize = 1_000;
/// How long a key lives unless said otherwise.
const DEFAULT_EXPIRY: &str = "365d";

/// What a new key shall be.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// The user it acts for.
    pub user: Option<String>,
    /// The team it is charged to.
    pub team: Option<String>,
    /// The only agent it may talk to.
    pub agent: Option<String>,
    /// Its role; member unless said.
    pub role: Option<Role>,
    /// Its life, from `1s` to `365d`.
    pub expires: Option<String>,
}

/// A key just made: the only time its secret is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CreatedKey {
    /// Its id.
    pub id: String,
    /// The secret.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// RFC 3339.
    pub expires_at: String,
}

/// A key in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyLine {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// How it begins.
    pub prefix: String,
    /// The user it acts for.
    pub user: Option<String>,
    /// The team it is charged to.
    pub team: Option<String>,
    /// The only agent it may talk to.
    pub agent: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339, if it was revoked.
    pub revoked_at: Option<String>,
}

impl Runtime {
    /// Makes a key.
    ///
    /// # Errors
    /// When the name is empty, the life is out of range, or the caller may not give such a role.
    pub async fn create_key(&self, new: NewKey, by: &Identity) -> Result<CreatedKey, ServiceError> {
        let role = new.role.unwrap_or(Role::Member);
        check_may_give(by, role)?;
        if new.name.trim().is_empty() {
            return Err(ServiceError::Invalid(
                "a key needs a name, such as the program that will use it".into(),
            ));
        }
        let now = self.clock.now();
        let expires_at = expiry_of(new.expires.as_deref().unwrap_or(DEFAULT_EXPIRY), now)?;
        let secret = new_secret(PREFIX);
        let row = KeyRow {
            id: KeyId::generate(),
            name: new.name.clone(),
            hash: hash_of(&secret),
            prefix: secret.chars().take(SHOWN_CHARS).collect(),
            role,
            user: new.user,
            team: new.team,
            agent: new.agent.as_deref().map(AgentName::from),
            created_at: now,
            expires_at: Some(expires_at),
            revoked_at: None,
        };
        let created = CreatedKey {
            id: row.id.to_string(),
            key: secret,
            name: new.name,
            role,
            expires_at: rfc3339(expires_at),
        };
        self.store.write(move |tx| keys::insert(tx, &row)).await?;
        Ok(created)
    }

    /// All keys, newest last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyLine>, ServiceError> {
        let rows = self.store.read(|tx| keys::list(tx, SHOWN)).await?;
        Ok(rows.into_iter().map(line).collect())
    }

    /// Ends a key at once, by id or name.
    ///
    /// # Errors
    /// When it does not exist or the caller may not end it.
    pub async fn revoke_key(&self, id_or_name: &str, by: &Identity) -> Result<(), ServiceError> {
        if !may(by.role, Right::Administer) {
            return Err(ServiceError::Denied("only an owner or an admin may revoke keys".into()));
        }
        let (wanted, now) = (id_or_name.to_owned(), self.clock.now());
        self.store.write(move |tx| keys::revoke(tx, &wanted, now)).await?;
        Ok(())
    }

    /// Who a key stands for.
    ///
    /// # Errors
    /// When the key is unknown, revoked or expired; the sentence does not say which.
    pub async fn authenticate(&self, key: &Secret<String>) -> Result<Identity, ServiceError> {
        let refuse = || ServiceError::Unauthenticated("the key is not valid; make one with `steward keys create`".into());
        if !key.expose().starts_with(PREFIX) || key.expose().len() > 128 {
            return Err(refuse());
        }
        // The lookup is by hash, so its time tells nothing about the secret.
        let (hash, now) = (hash_of(key.expose()), self.clock.now());
        let row = self.store.read(move |tx| keys::find_by_hash(tx, &hash)).await?.ok_or_else(refuse)?;
        let is_over = row.revoked_at.is_some() || row.expires_at.is_some_and(|at| now >= at);
        if is_over {
            return Err(refuse());
        }
        let principal = row.user.clone().map_or_else(|| Principal::Key(row.name.clone()), Principal::User);
        Ok(Identity {
            principal,
            role: row.role,
            user: row.user,
            team: row.team,
            agent: row.agent.map(|agent| agent.to_string()),
            key: Some(row.id),
        })
    }
}

fn check_may_give(by: &Identity, role: Role) -> Result<(), ServiceError> {
    if !may(by.role, Right::Administer) {
        return Err(ServiceError::Denied("only an owner or an admin may make keys".into()));
    }
    let is_by_key = by.key.is_some();
    if role == Role::Owner && (by.role != Role::Owner || is_by_key) {
        return Err(ServiceError::Denied(
            "keys of role owner are made only at the console by an owner or on the machine itself".into(),
        ));
    }
    Ok(())
}

fn expiry_of(text: &str, now: Timestamp) -> Result<Timestamp, ServiceError> {
    let life = parse_duration(text).map_err(|error| ServiceError::Invalid(format!("--expires: {error}")))?;
    let is_in_range = life >= Duration::from_secs(1) && life <= Duration::from_secs(365 * 86_400);
    if !is_in_range {
        return Err(ServiceError::Invalid("--expires takes 1s to 365d".into()));
    }
    now.checked_add(life)
        .map_err(|error| ServiceError::Invalid(format!("--expires: {error}")))
}

fn line(row: KeyRow) -> KeyLine {
    KeyLine {
        id: row.id.to_string(),
        name: row.name,
        role: row.role,
        prefix: row.prefix,
        user: row.user,
        team: row.team,
        agent: row.agent.map(|agent| agent.to_string()),
        created_at: rfc3339(row.created_at),
        expires_at: row.expires_at.map(rfc3339).unwrap_or_default(),
        revoked_at: row.revoked_at.map(rfc3339),
    }
}

/// A new random secret of 256 bits in hexadecimal after a prefix.
pub(crate) fn new_secret(prefix: &str) -> String {
    let mut bytes = [0_u8; KEY_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}{digits}")
}

/// SHA-256 of a secret. With 256 random bits a slow hash would add nothing.
pub(crate) fn hash_of(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
