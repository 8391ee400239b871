//! Readings and operations of the program itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_inference::chaos::ChaosPlan;

use crate::error::ApiError;
use crate::operations::{CatalogueText, Operation, Reading};
use crate::server::Gateway;

macro_rules! readings {
    ($($(#[$doc:meta])* $name:ident => $reading:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            pub(crate) async fn $name(State(gateway): State<Arc<Gateway>>) -> Result<Json<Value>, ApiError> {
                Ok(Json(gateway.operations.read(Reading::$reading).await?))
            }
        )+
    };
}

readings! {
    /// `GET /api/agents`.
    agents => Agents,
    /// `GET /api/models`.
    models => Models,
    /// `GET /api/models/catalogue`.
    catalogue => Catalogue,
    /// `GET /api/chaos`.
    chaos => Chaos,
    /// `GET /api/providers`.
    providers => Providers,
    /// `GET /api/routes`.
    routes => Routes,
    /// `GET /api/config`.
    config => Config,
    /// `GET /api/config/schema`.
    config_schema => ConfigSchema,
    /// `GET /api/doctor`.
    doctor => Doctor,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ConfigText {
    /// The whole file.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct ConfigValue {
    /// Dotted path, such as `agents.main.route`.
    key: String,
    /// The value.
    value: Value,
}

async fn run(gateway: &Gateway, operation: Operation) -> Result<Json<Value>, ApiError> {
    Ok(Json(gateway.operations.run(operation).await?))
}

/// `POST /api/providers/{name}/test`.
pub(crate) async fn test_provider(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::TestProvider(name)).await
}

/// `POST /api/config/check`.
pub(crate) async fn check_config(State(gateway): State<Arc<Gateway>>, Json(body): Json<ConfigText>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::CheckConfig(body.text)).await
}

/// `PATCH /api/config`.
pub(crate) async fn set_config(State(gateway): State<Arc<Gateway>>, Json(body): Json<ConfigValue>) -> Result<Json<Value>, ApiError> {
    run(
        &gateway,
        Operation::SetConfig {
            key: body.key,
            value: body.value,
        },
    )
    .await
}

/// `POST /api/models/{name}/pull`.
pub(crate) async fn pull(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::PullModel(name)).await
}

/// `POST /api/models/catalogue`.
pub(crate) async fn refresh_catalogue(
    State(gateway): State<Arc<Gateway>>,
    Json(body): Json<CatalogueText>,
) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::RefreshCatalogue(body)).await
}

/// `POST /api/chaos`.
pub(crate) async fn start_chaos(State(gateway): State<Arc<Gateway>>, Json(plan): Json<ChaosPlan>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::StartChaos(plan)).await
}

/// `POST /api/chaos/{id}/watch`.
pub(crate) async fn watch_chaos(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::WatchChaos(id)).await
}

/// `POST /api/chaos/{id}/stop`.
pub(crate) async fn stop_chaos(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::StopChaos(id)).await
}

/// `DELETE /api/models/{name}`.
pub(crate) async fn remove_model(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::RemoveModel(name)).await
}

/// `POST /api/doctor`.
pub(crate) async fn fix_doctor(State(gateway): State<Arc<Gateway>>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::FixDoctor).await
}

/// `POST /api/backups`.
pub(crate) async fn backup(State(gateway): State<Arc<Gateway>>) -> Result<Json<Value>, ApiError> {
    run(&gateway, Operation::Backup).await
}

/// `GET /api/routes/explain/{id}`.
pub(crate) async fn explain(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    found(gateway.operations.explain(&id), "request", &id)
}

/// `GET /api/routes/replay/{id}`.
pub(crate) async fn replay(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    found(gateway.operations.replay(&id), "request", &id)
}

/// `GET /api/routes/{name}`.
pub(crate) async fn standing(State(gateway): State<Arc<Gateway>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    found(gateway.operations.standing(&name), "route", &name)
}

fn found(value: Option<Value>, what: &str, name: &str) -> Result<Json<Value>, ApiError> {
    value
        .map(Json)
        .ok_or_else(|| ApiError::new(404, "not_found", json!({what: name}).to_string()))
}
