//! Rollouts and caches of routes: how they stand, and what people order of them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use steward_inference::rollout::Signal;
use steward_inference::rollout::order::Order;

use crate::auth::Authenticated;
use crate::error::ApiError;
use crate::operations::{Operation, RouteReading};
use crate::server::Gateway;

/// Which share, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shift {
    /// The candidate's share, from 0 to 1.
    share: f64,
    /// Why, for the record.
    #[serde(default)]
    why: String,
}

/// Why an order is given; the body may be left out.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    /// Why, for the record.
    #[serde(default)]
    why: String,
}

/// What is said of an answer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feedback {
    /// What.
    signal: Signal,
}

type Answer = Result<Json<Value>, ApiError>;

/// `GET /api/routes/{name}/rollout`.
pub(crate) async fn status(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Answer {
    read(&gateway, &name, RouteReading::Rollout, "rollout")
}

/// `GET /api/routes/{name}/cache`.
pub(crate) async fn cache(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Answer {
    read(&gateway, &name, RouteReading::Cache, "cache")
}

/// `POST /api/routes/{name}/shift`.
pub(crate) async fn shift(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Authenticated>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer {
    let Shift { share, why } = parsed(&body)?;
    order(&gateway, &caller, name, Order::Shift(share), why).await
}

macro_rules! orders {
    ($($(#[$doc:meta])* $name:ident => $order:expr),+ $(,)?) => {
        $(
            $(#[$doc])*
            pub(crate) async fn $name(
                State(gateway): State<Arc<Gateway>>,
                Extension(caller): Extension<Authenticated>,
                Path(name): Path<String>,
                body: Bytes,
            ) -> Answer {
                let Why { why } = if body.is_empty() { Why::default() } else { parsed(&body)? };
                order(&gateway, &caller, name, $order, why).await
            }
        )+
    };
}

orders! {
    /// `POST /api/routes/{name}/promote`.
    promote => Order::Promote,
    /// `POST /api/routes/{name}/hold`.
    hold => Order::Hold,
    /// `POST /api/routes/{name}/resume`.
    resume => Order::Resume,
    /// `POST /api/routes/{name}/rollback`.
    rollback => Order::Rollback,
}

/// `POST /api/calls/{id}/feedback`.
pub(crate) async fn feedback(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let Feedback { signal } = parsed(&body)?;
    Ok(Json(gateway.operations.run(Operation::Feedback { request: id, signal }).await?))
}

fn read(gateway: &Gateway, name: &str, what: RouteReading, noun: &str) -> Answer {
    let none = || ApiError::new(404, "not_found", format!("route {name:?} has no {noun}"));
    gateway.operations.route(name, what).map(Json).ok_or_else(none)
}

async fn order(gateway: &Gateway, caller: &Authenticated, route: String, order: Order, why: String) -> Answer {
    let operation = Operation::Rollout {
        route,
        order,
        who: caller.identity.principal.to_string(),
        why,
    };
    Ok(Json(gateway.operations.run(operation).await?))
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::new(400, "invalid_request", error.to_string()))
}
