//! One error shape a dialect. The cause is logged here, once.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use steward_dialects::Dialect;
use steward_dialects::ingress;
use steward_domain::model::{ModelError, Retry};
use steward_runtime::error::ServiceError;
use tracing::error;

/// An error on its way to a caller.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) retry_after_s: Option<u64>,
}

/// An error as the API writes it; the inference endpoints write their dialect's own.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorDetail {
    /// A stable word for programs.
    code: &'static str,
    /// A sentence for people.
    message: String,
}

impl ErrorBody {
    fn of(error: &ApiError) -> Self {
        ErrorBody {
            error: ErrorDetail {
                code: error.code,
                message: error.message.clone(),
            },
        }
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("two texts have a form in JSON")
    }
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            status,
            code,
            message: message.into(),
            dialect: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn unauthenticated() -> Self {
        ApiError::new(
            401,
            "unauthenticated",
            "a key is needed: send it as `Authorization: Bearer …` or `x-api-key`",
        )
    }

    /// The same error in a caller's dialect.
    pub(crate) fn in_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    pub(crate) fn of_model(error: &ModelError, dialect: Dialect) -> Self {
        let (status, code) = ingress::public_status(error.kind);
        let retry_after_s = match error.retry {
            Retry::After(wait) => Some(wait.as_secs().max(1)),
            Retry::Never | Retry::Now => None,
        };
        ApiError {
            status,
            code,
            message: error.message.clone(),
            dialect: Some(dialect),
            retry_after_s,
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(cause: ServiceError) -> Self {
        let (status, code) = match &cause {
            ServiceError::NotFound { .. } => (404, "not_found"),
            ServiceError::Invalid(_) => (400, "invalid_request"),
            ServiceError::Conflict(_) => (409, "conflict"),
            ServiceError::Denied(_) => (403, "policy_denied"),
            ServiceError::Unauthenticated(_) => (401, "unauthenticated"),
            ServiceError::Busy(_) => (429, "rate_limited"),
            ServiceError::OverBudget(_) => (402, "budget_exceeded"),
            ServiceError::Unavailable(_) => (503, "unavailable"),
        };
        ApiError::new(status, code, cause.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status >= 500 {
            error!(http.status = self.status, error.code = self.code, error = %self.message, "a request failed: {}", self.message);
        }
        let body = match self.dialect {
            Some(dialect) => ingress::encode_error(dialect, self.status, self.code, &self.message),
            None => ErrorBody::of(&self).bytes(),
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
