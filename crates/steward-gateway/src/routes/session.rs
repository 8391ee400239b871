//! Sign-in at the console.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;
use steward_domain::secret::Secret;
use steward_runtime::error::ServiceError;
use steward_runtime::signin::SignedIn;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::server::Gateway;
use crate::shapes::SigninLink;

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SigninByLink")]
pub(crate) struct Link {
    /// What the link has behind `#signin=`.
    token: String,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SigninByPassword")]
pub(crate) struct Password {
    /// The user's name.
    user: String,
    /// The password.
    password: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NewPassword {
    /// The password.
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SigninByKey")]
pub(crate) struct Key {
    /// The key.
    key: String,
}

/// `POST /api/session/link`.
pub(crate) async fn by_link(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Json(body): Json<Link>,
) -> Result<Response, ApiError> {
    gateway.guard.check_failures(address.ip())?;
    finish(&gateway, address, gateway.runtime.sign_in_by_token(&body.token).await).await
}

/// `POST /api/session/password`.
pub(crate) async fn by_password(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Json(body): Json<Password>,
) -> Result<Response, ApiError> {
    gateway.guard.check_failures(address.ip())?;
    finish(
        &gateway,
        address,
        gateway.runtime.sign_in_by_password(&body.user, &Secret::new(body.password)).await,
    )
    .await
}

/// `POST /api/session/key`.
pub(crate) async fn by_key(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Json(body): Json<Key>,
) -> Result<Response, ApiError> {
    gateway.guard.check_failures(address.ip())?;
    finish(&gateway, address, gateway.runtime.sign_in_by_key(&Secret::new(body.key)).await).await
}

async fn finish(gateway: &Gateway, address: SocketAddr, outcome: Result<SignedIn, ServiceError>) -> Result<Response, ApiError> {
    let signed_in = match outcome {
        Ok(signed_in) => signed_in,
        Err(error) => {
            gateway.guard.note_failure(address.ip());
            return Err(error.into());
        }
    };
    let who = gateway.runtime.who_am_i(&signed_in.identity, signed_in.csrf.clone()).await?;
    let cookie = format!(
        "{}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000",
        gateway.guard.cookie_name,
        signed_in.cookie.expose()
    );
    let value = HeaderValue::from_str(&cookie).map_err(|_| ApiError::new(500, "internal", "the cookie cannot be set"))?;
    Ok(([(header::SET_COOKIE, value)], Json(who)).into_response())
}

/// `GET /api/session`.
pub(crate) async fn who(State(gateway): State<Arc<Gateway>>, caller: Option<Extension<Authenticated>>) -> Result<Response, ApiError> {
    let Some(Extension(caller)) = caller else {
        return Err(ApiError::unauthenticated());
    };
    let csrf = caller.cookie.map(|(_, csrf)| csrf).unwrap_or_default();
    Ok(Json(gateway.runtime.who_am_i(&caller.identity, csrf).await?).into_response())
}

/// `DELETE /api/session`.
pub(crate) async fn sign_out(State(gateway): State<Arc<Gateway>>, caller: Option<Extension<Authenticated>>) -> Result<Response, ApiError> {
    if let Some(Extension(Authenticated {
        cookie: Some((cookie, _)), ..
    })) = caller
    {
        gateway.runtime.sign_out(&cookie).await?;
    }
    let gone = format!("{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", gateway.guard.cookie_name);
    let value = HeaderValue::from_str(&gone).map_err(|_| ApiError::new(500, "internal", "the cookie cannot be removed"))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, value)]).into_response())
}

/// `POST /api/session/set-password`.
pub(crate) async fn set_password(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Json(body): Json<NewPassword>,
) -> Result<StatusCode, ApiError> {
    gateway.runtime.set_password(&caller.identity, Secret::new(body.password)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/signin-links`.
pub(crate) async fn new_link(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
) -> Result<Json<SigninLink>, ApiError> {
    let token = gateway.runtime.create_signin_token(&caller.identity).await?;
    Ok(Json(SigninLink {
        url: format!("http://{}/#signin={}", gateway.address, token.expose()),
    }))
}
