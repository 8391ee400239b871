//! Sign-in at the console: a one-time link first, then a key or a password; sessions that can be ended.

use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use schemars::JsonSchema;
use serde::Serialize;
use steward_domain::clock::Timestamp;
use steward_domain::principal::{Principal, Role};
use steward_domain::secret::Secret;
use steward_store::signin_links::SigninLinkRow;
use steward_store::users::UserRow;
use steward_store::web_sessions::WebSessionRow;
use steward_store::{StoreError, Tx, signin_links, users, web_sessions};

use crate::access::{Identity, Right, may};
use crate::error::ServiceError;
use crate::keys::{hash_of, new_secret};
use crate::runtime::Runtime;

/// Life of a sign-in link.
const LINK_LIFE: Duration = Duration::from_secs(10 * 60);
/// A session ends this long after its last use.
const IDLE_LIFE: Duration = Duration::from_secs(12 * 3_600);
/// A session ends this long after its beginning.
const ABSOLUTE_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Shortest password.
const PASSWORD_CHARS: usize = 12;

/// A session just begun.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The cookie's value.
    pub cookie: Secret<String>,
    /// What the console must send with each change.
    pub csrf: String,
    /// Who it is.
    pub identity: Identity,
}

/// Who is signed in, as the console sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WhoAmI {
    /// The user.
    pub user: String,
    /// The role.
    pub role: Role,
    /// What must come with each change.
    pub csrf: String,
    /// Steward's version.
    pub version: &'static str,
    /// A password is set.
    pub has_password: bool,
}

impl Runtime {
    /// Is there anyone who can administer: a password, or an admin's key?
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_administrator(&self) -> Result<bool, ServiceError> {
        let now = self.clock.now();
        Ok(self
            .store
            .read(move |tx| {
                Ok(users::list(tx, 100)?.iter().any(|user| user.password_hash.is_some()) || steward_store::keys::any_admin(tx, now)?)
            })
            .await?)
    }

    /// A one-time token that signs its holder in as the owner of the home, for ten minutes.
    ///
    /// # Errors
    /// When the caller may not administer.
    pub async fn create_signin_token(&self, by: &Identity) -> Result<Secret<String>, ServiceError> {
        if !may(by.role, Right::Administer) {
            return Err(ServiceError::Denied("only an owner or an admin may make sign-in links".into()));
        }
        let token = new_secret("");
        let now = self.clock.now();
        let user = by.user.clone().unwrap_or_else(|| "owner".into());
        let link = SigninLinkRow {
            hash: hash_of(&token),
            user,
            role: by.role,
            expires_at: after(now, LINK_LIFE),
            used_at: None,
        };
        self.store.write(move |tx| signin_links::insert(tx, &link)).await?;
        Ok(Secret::new(token))
    }

    /// Exchanges a link's token for a session. A token works once.
    ///
    /// # Errors
    /// When it is unknown, used or expired.
    pub async fn sign_in_by_token(&self, token: &str) -> Result<SignedIn, ServiceError> {
        let (hash, now) = (hash_of(token), self.clock.now());
        let link = self.store.write(move |tx| signin_links::use_once(tx, &hash, now)).await?;
        let link = link.ok_or_else(|| {
            ServiceError::Unauthenticated(
                "the sign-in link was used already or is older than 10 minutes; run `steward open` for a new one".into(),
            )
        })?;
        self.begin_session(link.user, link.role).await
    }

    /// Signs in with a key.
    ///
    /// # Errors
    /// When the key is not valid.
    pub async fn sign_in_by_key(&self, key: &Secret<String>) -> Result<SignedIn, ServiceError> {
        let identity = self.authenticate(key).await?;
        let name = identity.user.clone().unwrap_or_else(|| match &identity.principal {
            Principal::Key(name) | Principal::User(name) | Principal::Agent(name) => name.clone(),
            Principal::System => "system".into(),
        });
        self.begin_session(name, identity.role).await
    }

    /// Signs in with a password (Argon2id, RFC 9106).
    ///
    /// # Errors
    /// When user or password is wrong; the sentence does not say which.
    pub async fn sign_in_by_password(&self, user: &str, password: &Secret<String>) -> Result<SignedIn, ServiceError> {
        let refuse = || ServiceError::Unauthenticated("user or password is wrong".into());
        let name = user.to_owned();
        let row = self.store.read(move |tx| users::get(tx, &name)).await?;
        let (stored, role) = row.map_or((None, Role::Member), |row| (row.password_hash, row.role));
        let is_right = verify_password(stored, password.clone()).await;
        if !is_right {
            return Err(refuse());
        }
        self.begin_session(user.to_owned(), role).await
    }

    /// Sets the caller's own password.
    ///
    /// # Errors
    /// When it is too short.
    pub async fn set_password(&self, identity: &Identity, password: Secret<String>) -> Result<(), ServiceError> {
        if password.expose().chars().count() < PASSWORD_CHARS {
            return Err(ServiceError::Invalid(format!(
                "the password needs at least {PASSWORD_CHARS} characters"
            )));
        }
        let user = identity
            .user
            .clone()
            .ok_or_else(|| ServiceError::Denied("a service key has no password".into()))?;
        let hash = hash_password(password).await?;
        let row = UserRow {
            name: user,
            role: identity.role,
            team: identity.team.clone(),
            password_hash: Some(hash),
            created_at: self.clock.now(),
        };
        Ok(self.store.write(move |tx| keep_user(tx, &row)).await?)
    }

    /// Who a session cookie stands for, with the token that each change must carry.
    ///
    /// # Errors
    /// When the session is unknown or over.
    pub async fn session_identity(&self, cookie: &Secret<String>) -> Result<(Identity, String), ServiceError> {
        let (hash, now) = (hash_of(cookie.expose()), self.clock.now());
        let idle_from = now.checked_sub(IDLE_LIFE).unwrap_or(Timestamp::MIN);
        let found = self.store.read(move |tx| web_sessions::find(tx, &hash, now)).await?;
        let row = found.filter(|row| row.expires_at > now && row.last_at > idle_from);
        let row = row.ok_or_else(|| ServiceError::Unauthenticated("you are not signed in".into()))?;
        self.touch_session(&row, now);
        Ok((identity_of(&row), row.csrf))
    }

    /// How the console sees the caller.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn who_am_i(&self, identity: &Identity, csrf: String) -> Result<WhoAmI, ServiceError> {
        let user = identity.user.clone().unwrap_or_else(|| identity.principal.to_string());
        let name = user.clone();
        let row = self.store.read(move |tx| users::get(tx, &name)).await?;
        let has_password = row.is_some_and(|row| row.password_hash.is_some());
        Ok(WhoAmI {
            user,
            role: identity.role,
            csrf,
            version: env!("CARGO_PKG_VERSION"),
            has_password,
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub async fn sign_out(&self, cookie: &Secret<String>) -> Result<(), ServiceError> {
        let hash = hash_of(cookie.expose());
        Ok(self.store.write(move |tx| web_sessions::delete(tx, &hash).map(drop)).await?)
    }

    async fn begin_session(&self, user: String, role: Role) -> Result<SignedIn, ServiceError> {
        let (cookie, csrf, now) = (new_secret(""), new_secret(""), self.clock.now());
        let row = WebSessionRow {
            hash: hash_of(&cookie),
            user,
            role,
            csrf: csrf.clone(),
            created_at: now,
            last_at: now,
            expires_at: after(now, ABSOLUTE_LIFE),
        };
        let identity = identity_of(&row);
        self.store.write(move |tx| web_sessions::insert(tx, &row)).await?;
        Ok(SignedIn {
            cookie: Secret::new(cookie),
            csrf,
            identity,
        })
    }

    /// Notes the use of a session at most once a minute, without anyone waiting for it.
    fn touch_session(&self, row: &WebSessionRow, now: Timestamp) {
        let is_fresh = now.duration_since(row.last_at).as_secs() < 60;
        if is_fresh {
            return;
        }
        let (hash, expires_at) = (row.hash.clone(), row.expires_at);
        self.store.write_later(move |tx| touch(tx, &hash, now, expires_at));
    }
}

fn identity_of(row: &WebSessionRow) -> Identity {
    Identity {
        principal: Principal::User(row.user.clone()),
        role: row.role,
        user: Some(row.user.clone()),
        team: None,
        agent: None,
        key: None,
    }
}

fn after(now: Timestamp, life: Duration) -> Timestamp {
    now.checked_add(life).unwrap_or(Timestamp::MAX)
}

async fn hash_password(password: Secret<String>) -> Result<String, ServiceError> {
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.expose().as_bytes())
            .map(|hash| hash.to_string())
    })
    .await;
    match hashed {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(error)) => Err(ServiceError::Invalid(format!("the password cannot be used: {error}"))),
        Err(error) => Err(ServiceError::Unavailable(format!("hashing the password failed: {error}"))),
    }
}

async fn verify_password(stored: Option<String>, password: Secret<String>) -> bool {
    let verified = tokio::task::spawn_blocking(move || {
        let Some(stored) = stored else {
            // The same work for an unknown user, so that time tells nothing.
            let _ = Argon2::default().hash_password(password.expose().as_bytes());
            return false;
        };
        PasswordHash::new(&stored).is_ok_and(|hash| Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
    });
    verified.await.unwrap_or(false)
}

/// Notes the use of a session; one that has ended meanwhile is no fault.
fn touch(tx: &mut Tx<'_>, hash: &str, now: Timestamp, expires_at: Timestamp) -> Result<(), StoreError> {
    match web_sessions::find(tx, hash, now)? {
        Some(_) => web_sessions::touch(tx, hash, now, expires_at),
        None => Ok(()),
    }
}

fn keep_user(tx: &mut Tx<'_>, row: &UserRow) -> Result<(), StoreError> {
    match users::get(tx, &row.name)? {
        Some(_) => users::set_password(tx, &row.name, row.password_hash.as_deref()),
        None => users::insert(tx, row),
    }
}
