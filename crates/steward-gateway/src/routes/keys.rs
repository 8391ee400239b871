//! Access keys.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use steward_domain::principal::Role;
use steward_runtime::keys::{CreatedKey, KeyLine, NewKey};

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    name: String,
    user: Option<String>,
    team: Option<String>,
    agent: Option<String>,
    role: Option<Role>,
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
