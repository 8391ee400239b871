//! Access keys.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::principal::Role;
use steward_runtime::keys::{CreatedKey, KeyLine, NewKey};

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewKey")]
pub(crate) struct Body {
    /// Its name.
    name: String,
    /// The user it acts for.
    user: Option<String>,
    /// The team it is charged to.
    team: Option<String>,
    /// The only agent it may talk to.
    agent: Option<String>,
    /// Its role.
    role: Option<Role>,
    /// Its life, from `1s` to `365d`.
    expires: Option<String>,
}

/// `GET /api/keys`.
pub(crate) async fn list(State(gateway): State<Arc<Gateway>>) -> Result<Json<Vec<KeyLine>>, ApiError> {
    Ok(Json(gateway.runtime.keys().await?))
}

/// `POST /api/keys`.
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Json(body): Json<Body>,
) -> Result<Json<CreatedKey>, ApiError> {
    let new = NewKey {
        name: body.name,
        user: body.user,
        team: body.team,
        agent: body.agent,
        role: body.role,
        expires: body.expires,
    };
    Ok(Json(gateway.runtime.create_key(new, &caller.identity).await?))
}

/// `POST /api/keys/{id}/revoke`.
pub(crate) async fn revoke(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    gateway.runtime.revoke_key(&id, &caller.identity).await?;
    Ok(StatusCode::NO_CONTENT)
}
