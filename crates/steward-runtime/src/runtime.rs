//! The one object that surfaces call: it holds the store, the model, the settings and the queues.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use steward_agent::toolset::ToolSet;
use steward_domain::channel::Channel;
use steward_domain::clock::Clock;
use steward_domain::id::{AgentName, ChannelName, TurnId};
use steward_domain::model::Model;
use steward_domain::tool::Tool;
use steward_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::background;
use crate::config::{Agent, Settings};
use crate::error::ServiceError;
use crate::hub::Hub;
use crate::own_tools;
use crate::turn_queue::TurnQueues;
use crate::undo::Restorer;
use crate::workspace_files;

/// What the flows are made of.
pub struct Parts {
    /// The rows.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// All routes and models.
    pub model: Arc<dyn Model>,
    /// Agents, rules, prices.
    pub settings: Settings,
    /// Makes an agent's tools.
    pub workbench: Arc<dyn Workbench>,
    /// Channels beside the console, the terminal and the API.
    pub channels: Vec<Arc<dyn Channel>>,
}

/// Makes the tools of an agent and restores its files. Implemented where adapters are wired.
pub trait Workbench: Send + Sync {
    /// The tools for these groups or names, working in the agent's workspace.
    ///
    /// # Errors
    /// A sentence for the person, such as a workspace that cannot be opened.
    fn tools(&self, agent: &Agent) -> Result<Vec<Arc<dyn Tool>>, String>;
    /// Puts files back as they were.
    fn restorer(&self, agent: &Agent) -> Result<Box<dyn Restorer>, String>;
    /// Adds text to the end of a file in the agent's workspace; blocks.
    ///
    /// # Errors
    /// A sentence, such as a path that leads out of the workspace.
    fn append(&self, agent: &Agent, path: &str, text: &str) -> Result<(), String>;
}

/// The flows. Surfaces share one behind an `Arc`.
pub struct Runtime {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) workbench: Arc<dyn Workbench>,
    pub(crate) channels: HashMap<ChannelName, Arc<dyn Channel>>,
    pub(crate) queues: Arc<TurnQueues>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
    toolsets: Mutex<HashMap<AgentName, Arc<ToolSet>>>,
    /// Turns whose last run in this process ended cleanly: what they left open has not begun.
    settled: Mutex<HashSet<TurnId>>,
}

impl Runtime {
    /// Builds the flows. Nothing runs before [`Runtime::start`].
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Runtime {
            store: parts.store,
            clock: parts.clock,
            model: parts.model,
            settings: ArcSwap::from_pointee(parts.settings),
            workbench: parts.workbench,
            channels: parts
                .channels
                .into_iter()
                .map(|channel| (channel.name().clone(), channel))
                .collect(),
            queues: Arc::new(TurnQueues::default()),
            hub: Arc::new(Hub::default()),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            toolsets: Mutex::new(HashMap::new()),
            settled: Mutex::new(HashSet::new()),
        })
    }

    /// Makes workspaces, takes up what a crash left open and starts the background tasks.
    ///
    /// # Errors
    /// When the store cannot be read or a workspace cannot be made.
    pub async fn start(self: &Arc<Self>) -> Result<(), ServiceError> {
        for agent in self.settings.load().agents.values() {
            workspace_files::prepare(&agent.workspace)
                .map_err(|error| ServiceError::Unavailable(format!("workspace {} cannot be made: {error}", agent.workspace.display())))?;
        }
        self.settle_orphans().await?;
        self.resume_all().await?;
        background::start(self);
        Ok(())
    }

    /// Stops taking work and waits for what runs to reach its next durable point. Open turns go on at the next start.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The settings now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Replaces the settings; running turns keep what they began with.
    ///
    /// # Errors
    /// When a new agent's workspace cannot be made; the old settings stay.
    pub fn replace_settings(&self, settings: Settings) -> Result<(), ServiceError> {
        for agent in settings.agents.values() {
            workspace_files::prepare(&agent.workspace)
                .map_err(|error| ServiceError::Invalid(format!("workspace {} cannot be made: {error}", agent.workspace.display())))?;
        }
        self.settings.store(Arc::new(settings));
        self.lock_toolsets().clear();
        Ok(())
    }

    /// The rows, for surfaces that only read.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The running turns, for watchers.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// An agent by name.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn agent(&self, name: &AgentName) -> Result<Agent, ServiceError> {
        self.settings
            .load()
            .agents
            .get(name)
            .cloned()
            .ok_or_else(|| ServiceError::not_found("agent", name))
    }

    pub(crate) fn toolset(self: &Arc<Self>, agent: &Agent) -> Result<Arc<ToolSet>, String> {
        if let Some(tools) = self.lock_toolsets().get(&agent.name) {
            return Ok(Arc::clone(tools));
        }
        let mut tools = self.workbench.tools(agent)?;
        tools.extend(own_tools::tools(self, agent));
        let tools = Arc::new(ToolSet::new(tools)?);
        self.lock_toolsets().insert(agent.name.clone(), Arc::clone(&tools));
        Ok(tools)
    }

    /// Notes that a turn's run in this process left no call half done.
    pub(crate) fn note_settled(&self, turn: &TurnId) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(turn.clone());
    }

    /// Was the turn's last run in this process, with a clean end? Asking takes the note away.
    pub(crate) fn take_settled(&self, turn: &TurnId) -> bool {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).remove(turn)
    }

    fn lock_toolsets(&self) -> std::sync::MutexGuard<'_, HashMap<AgentName, Arc<ToolSet>>> {
        // The map is whole after each statement, so a panic elsewhere does not spoil it.
        self.toolsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
