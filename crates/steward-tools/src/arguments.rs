//! Reads the arguments of a call into a tool's own type.
//!
//! Never panics on what a model wrote: arguments that do not fit are a failed call with a sentence.

use serde::de::DeserializeOwned;
use serde_json::Value;
use steward_domain::files::Touched;
use steward_domain::tool::ToolOutcome;

use crate::workspace::Workspace;

/// The arguments as `T`, or the outcome that says why they do not fit.
pub(crate) fn parse<T: DeserializeOwned>(arguments: Value) -> Result<T, ToolOutcome> {
    serde_json::from_value(arguments).map_err(|error| ToolOutcome::failed(format!("the arguments do not fit: {error}")))
}

/// The file or folder that the argument `name` names; the workspace itself where it is absent or empty.
pub(crate) fn named(workspace: &Workspace, arguments: &Value, name: &str) -> Result<Touched, String> {
    let path = match arguments.get(name) {
        None | Some(Value::Null) => "",
        Some(Value::String(path)) => path,
        Some(other) => return Err(format!("`{name}` is {other}, not a path")),
    };
    let path = if path.is_empty() { "." } else { path };
    workspace.touched(&[path]).map_err(|error| error.to_string())
}

/// Joins the two ways a call can end, so that tools may use `?`.
pub(crate) fn settle(result: Result<ToolOutcome, ToolOutcome>) -> ToolOutcome {
    result.unwrap_or_else(|outcome| outcome)
}

/// Runs work that blocks, away from the threads that serve others.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ToolOutcome> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a tool broke off");
        ToolOutcome::failed("the tool broke off; this is a fault of Steward, not of the call")
    })
}

/// Says to work on another thread that nobody waits for it any more: set when dropped.
pub(crate) struct Stop(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Stop {
    pub(crate) fn new() -> Self {
        Stop(std::sync::Arc::default())
    }

    pub(crate) fn flag(&self) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
        self.0.clone()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
