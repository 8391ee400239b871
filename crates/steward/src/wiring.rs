//! Puts the house together from a configuration. The only place where adapters are named.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use steward_budget::price::Price;
use steward_domain::clock::Clock;
use steward_domain::model::Model;
use steward_domain::tool::{Tool, ToolContext};
use steward_inference::catalog::Catalog;
use steward_inference::catalog::price::ModelPrice;
use steward_inference::config::{ProviderConfig, RouteConfig};
use steward_inference::local::{LocalConfig, LocalModel};
use steward_inference::pull;
use steward_inference::route::{Router, RouterParts};
use steward_inference::tables::RouterTables;
use steward_policy::policy::Policy;
use steward_runtime::checkpoints::CheckpointStore;
use steward_runtime::config::{Agent, ModelFacts, Settings, parse_duration};
use steward_runtime::meter::LedgerMeter;
use steward_runtime::outputs::{KeptPiece, OutputStore};
use steward_runtime::runtime::{Parts, Runtime, Workbench};
use steward_runtime::undo::Restorer;
use steward_sandbox::egress::Egress;
use steward_sandbox::{Owner, Sandbox};
use steward_store::Store;
use steward_tools::checkpoint::{Checkpoints, Restored, restore};
use steward_tools::outputs::{Outputs, Piece};
use steward_tools::toolbox::{Kept, Toolbox};
use steward_tools::workspace::Workspace;

use crate::absent_model::AbsentModel;
use crate::configuration::Configuration;
use crate::default_route;
use crate::home::Home;
use crate::prices;
use crate::rollout_store::StoredRollouts;
use crate::system_clock::SystemClock;

/// Context window assumed for a model that nobody has described.
const UNKNOWN_CONTEXT_TOKENS: u64 = 128_000;
/// Context window of models in this process.
const LOCAL_CONTEXT_TOKENS: u64 = 8_192;

/// The house, put together and not yet started.
pub(crate) struct House {
    pub(crate) home: Home,
    pub(crate) store: Store,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) router: Arc<Router>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) bench: Arc<Bench>,
    pub(crate) configuration: ArcSwap<Configuration>,
    /// Held by who changes the configuration file.
    pub(crate) editing: tokio::sync::Mutex<()>,
    local: Arc<LocalModels>,
}

impl House {
    /// Puts it together.
    pub(crate) async fn build(home: &Home, configuration: Configuration) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&configuration.store_url(home), clock.now()).context("the store cannot be opened")?;
        let local = Arc::new(LocalModels::default());
        let tables = tables(home, &configuration, &local)?;
        let facts = Arc::new(Facts {
            state: ArcSwap::from_pointee(FactState::of(&tables, &installed(home)?)),
        });
        let meter = Arc::new(LedgerMeter::new(
            store.clone(),
            Arc::clone(&clock),
            Arc::clone(&facts) as Arc<dyn ModelFacts>,
        ));
        let router = Arc::new(Router::new(RouterParts {
            tables,
            meter,
            clock: Arc::clone(&clock),
        })?);
        let kept = router.keep_rollouts(Arc::new(StoredRollouts(store.clone()))).await;
        kept.map_err(|problem| anyhow::anyhow!("the rollouts cannot be read: {problem}"))?;
        let owner = Owner::of_home(home.root());
        end_leftovers(&owner).await;
        let bench = Arc::new(Bench::new(&configuration, owner, (&store, &clock)).await);
        let settings = settings(home, &configuration, &facts)?;
        let runtime = Runtime::new(Parts {
            store: store.clone(),
            clock,
            model: Arc::clone(&router) as Arc<dyn Model>,
            settings,
            workbench: Arc::clone(&bench) as Arc<dyn Workbench>,
            channels: Vec::new(),
        });
        Ok(House {
            home: home.clone(),
            store,
            runtime,
            router,
            facts,
            bench,
            configuration: ArcSwap::from_pointee(configuration),
            editing: tokio::sync::Mutex::default(),
            local,
        })
    }

    /// Takes a changed configuration whole, or refuses it whole. Where the server listens and its store stay until a restart.
    pub(crate) async fn replace(&self, configuration: Configuration) -> Result<()> {
        let tables = tables(&self.home, &configuration, &self.local)?;
        let state = FactState::of(&tables, &installed(&self.home)?);
        self.router.replace(tables)?;
        self.facts.state.store(Arc::new(state));
        self.bench.replace(&configuration).await;
        self.runtime.replace_settings(settings(&self.home, &configuration, &self.facts)?)?;
        self.configuration.store(Arc::new(configuration));
        Ok(())
    }

    /// Looks again which local models and which prices are there.
    pub(crate) fn refresh_tables(&self) -> Result<()> {
        let tables = tables(&self.home, &self.configuration.load(), &self.local)?;
        let state = FactState::of(&tables, &installed(&self.home)?);
        self.router.replace(tables)?;
        self.facts.state.store(Arc::new(state));
        Ok(())
    }
}

/// Ends what an earlier server of this home left running, should its keepers have been killed with it.
async fn end_leftovers(owner: &Owner) {
    let owner = owner.clone();
    let ended = tokio::task::spawn_blocking(move || owner.kill_leftovers())
        .await
        .unwrap_or_default();
    if ended > 0 {
        tracing::warn!(ended, "ended {ended} processes that an earlier server left running");
    }
}

fn tables(home: &Home, configuration: &Configuration, local: &LocalModels) -> Result<RouterTables> {
    let catalog = Catalog::load_with(&configuration.models, prices::in_force(home)?)?;
    let mut providers: BTreeMap<String, ProviderConfig> = configuration.providers.clone();
    default_route::add_keys_of_environment(&catalog, &mut providers);
    let mut routes: BTreeMap<String, RouteConfig> = configuration.routes.clone();
    default_route::add(&mut routes, &providers);
    let mut models = local.available(home, configuration)?;
    for source in pull::sources() {
        models
            .entry(format!("local/{}", source.name))
            .or_insert_with(|| Arc::new(AbsentModel::not_fetched(&source.name)));
    }
    Ok(RouterTables {
        catalog,
        providers,
        routes,
        models,
    })
}

fn settings(home: &Home, configuration: &Configuration, facts: &Arc<Facts>) -> Result<Settings> {
    let hosts = configuration.sandbox.network.allow.clone().unwrap_or_default();
    let policy = Policy::new(&configuration.policy, tool_groups(), hosts, Home::of_owner()).map_err(|bad| anyhow::anyhow!(bad.message))?;
    Ok(Settings {
        agents: configuration.checked_agents(home)?,
        policy: Arc::new(policy),
        models: Arc::clone(facts) as Arc<dyn ModelFacts>,
    })
}

/// The group of each tool, for rules that name a group.
fn tool_groups() -> HashMap<String, String> {
    let groups = [
        ("files", &["read", "list", "search", "write", "edit", "apply_patch"][..]),
        ("shell", &["shell", "shell_poll", "shell_write", "shell_kill"][..]),
        ("web", &["web_fetch", "web_search"][..]),
        ("sessions", &["message", "sessions"][..]),
    ];
    groups
        .iter()
        .flat_map(|(group, tools)| tools.iter().map(|tool| ((*tool).to_owned(), (*group).to_owned())))
        .collect()
}

/// Models in this process: made once, kept over configuration changes, weights loaded on first use.
#[derive(Default)]
struct LocalModels {
    made: std::sync::Mutex<HashMap<String, Arc<dyn Model>>>,
}

impl LocalModels {
    fn available(&self, home: &Home, configuration: &Configuration) -> Result<HashMap<String, Arc<dyn Model>>> {
        let installed = installed(home)?;
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        made.retain(|name, _| installed.iter().any(|model| format!("local/{}", model.name) == *name));
        for model in installed {
            if let Entry::Vacant(place) = made.entry(format!("local/{}", model.name)) {
                let runs_here = pull::sources()
                    .iter()
                    .all(|source| source.name != model.name || source.runs_in_process);
                place.insert(if runs_here {
                    local_model(&model.path, configuration)?
                } else {
                    Arc::new(AbsentModel::needs_server(&model.name, &model.path.display().to_string()))
                });
            }
        }
        Ok(made.clone())
    }
}

fn installed(home: &Home) -> Result<Vec<pull::Installed>> {
    pull::installed(&home.models()).with_context(|| format!("{} cannot be read", home.models().display()))
}

fn local_model(path: &Path, configuration: &Configuration) -> Result<Arc<dyn Model>> {
    let mut config = LocalConfig {
        tool_help: configuration.local.tool_help,
        ..LocalConfig::default()
    };
    if configuration.local.threads > 0 {
        config.threads = configuration.local.threads;
    }
    config.unload_after = parse_duration(&configuration.local.unload_after).map_err(anyhow::Error::msg)?;
    Ok(Arc::new(
        LocalModel::load(path, config).map_err(|error| anyhow::anyhow!("local model: {error}"))?,
    ))
}

/// What the flows must know about models, as of the last configuration.
pub(crate) struct Facts {
    state: ArcSwap<FactState>,
}

struct FactState {
    catalog: Catalog,
    routes: BTreeMap<String, Vec<String>>,
    providers: Vec<String>,
    local: Vec<String>,
}

impl FactState {
    fn of(tables: &RouterTables, installed: &[pull::Installed]) -> Self {
        let targets = |route: &RouteConfig| route.targets.iter().map(|target| target.model.clone()).collect();
        FactState {
            catalog: tables.catalog.clone(),
            routes: tables.routes.iter().map(|(name, route)| (name.clone(), targets(route))).collect(),
            providers: tables.providers.keys().chain(tables.catalog.providers().keys()).cloned().collect(),
            local: installed.iter().map(|model| format!("local/{}", model.name)).collect(),
        }
    }

    fn window(&self, target: &str) -> u64 {
        if target.starts_with("local/") {
            return LOCAL_CONTEXT_TOKENS;
        }
        self.catalog
            .model(target)
            .and_then(|model| model.context_tokens)
            .unwrap_or(UNKNOWN_CONTEXT_TOKENS)
    }
}

impl Facts {
    /// Names of local models that are installed.
    pub(crate) fn local_models(&self) -> Vec<String> {
        self.state.load().local.clone()
    }
}

impl ModelFacts for Facts {
    fn price(&self, target: &str) -> Option<Price> {
        if target.starts_with("local/") {
            return Some(Price::free("local"));
        }
        self.state.load().catalog.price_of(target).map(price_of)
    }

    fn context_tokens(&self, route_or_model: &str) -> u64 {
        let state = self.state.load();
        match state.routes.get(route_or_model) {
            // What fits the first target is sent; a smaller fallback says so and the loop compacts.
            Some(targets) => targets.first().map_or(UNKNOWN_CONTEXT_TOKENS, |target| state.window(target)),
            None => state.window(route_or_model),
        }
    }

    fn exists(&self, route_or_model: &str) -> bool {
        let state = self.state.load();
        let has_provider = route_or_model
            .split_once('/')
            .is_some_and(|(provider, _)| state.providers.iter().any(|known| known == provider));
        state.routes.contains_key(route_or_model) || has_provider || state.local.iter().any(|model| model == route_or_model)
    }
}

fn price_of(price: ModelPrice) -> Price {
    Price {
        input: price.input,
        cached_input: price.cached_input,
        cache_write_5m: price.cache_write_5m,
        cache_write_1h: price.cache_write_1h,
        output: price.output,
        reasoning: price.reasoning,
        audio_input: price.audio_input,
        audio_output: price.audio_output,
        image: price.image,
        request: price.request,
        version: price.version,
    }
}

/// Makes the tools of agents.
pub(crate) struct Bench {
    state: ArcSwap<BenchState>,
    owner: Owner,
    checkpoints: Arc<KeptCheckpoints>,
    outputs: Arc<KeptOutputs>,
}

struct BenchState {
    tools: steward_tools::config::Config,
    sandbox: Arc<Sandbox>,
    egress: Arc<Egress>,
}

impl BenchState {
    async fn of(configuration: &Configuration, owner: &Owner) -> Self {
        BenchState {
            tools: configuration.tools.clone(),
            sandbox: Arc::new(Sandbox::probe_for(configuration.sandbox.clone(), owner.clone()).await),
            egress: Arc::new(Egress::new(configuration.sandbox.network.allow.as_deref())),
        }
    }
}

impl Bench {
    async fn new(configuration: &Configuration, owner: Owner, (store, clock): (&Store, &Arc<dyn Clock>)) -> Self {
        let outputs = Arc::new(KeptOutputs(OutputStore::new(store.clone(), Arc::clone(clock))));
        let checkpoints = Arc::new(KeptCheckpoints(CheckpointStore::new(store.clone(), Arc::clone(clock))));
        Bench {
            state: ArcSwap::from_pointee(BenchState::of(configuration, &owner).await),
            owner,
            checkpoints,
            outputs,
        }
    }

    async fn replace(&self, configuration: &Configuration) {
        self.state.store(Arc::new(BenchState::of(configuration, &self.owner).await));
    }

    /// The sandbox in use.
    pub(crate) fn sandbox(&self) -> Arc<Sandbox> {
        Arc::clone(&self.state.load().sandbox)
    }
}

impl Workbench for Bench {
    fn tools(&self, agent: &Agent) -> Result<Vec<Arc<dyn Tool>>, String> {
        let state = self.state.load();
        let workspace = Workspace::open(&agent.workspace).map_err(|error| format!("workspace {}: {error}", agent.workspace.display()))?;
        let kept = Kept {
            checkpoints: Arc::clone(&self.checkpoints) as Arc<dyn Checkpoints>,
            outputs: Arc::clone(&self.outputs) as Arc<dyn Outputs>,
            shown_chars: agent.limits.tool_output_chars,
        };
        let all = Toolbox::build(&state.tools, workspace, Arc::clone(&state.sandbox), Arc::clone(&state.egress), kept);
        let is_wanted = |tool: &Arc<dyn Tool>| {
            agent
                .tools
                .iter()
                .any(|wanted| wanted == tool.spec().name || wanted == tool.spec().group)
        };
        Ok(all.into_iter().filter(is_wanted).collect())
    }

    fn restorer(&self, agent: &Agent) -> Result<Box<dyn Restorer>, String> {
        let workspace = Workspace::open(&agent.workspace).map_err(|error| format!("workspace {}: {error}", agent.workspace.display()))?;
        Ok(Box::new(WorkspaceRestorer(workspace)))
    }

    fn append(&self, agent: &Agent, path: &str, text: &str) -> Result<(), String> {
        let workspace = Workspace::open(&agent.workspace).map_err(|error| error.to_string())?;
        let path = workspace.locate(path).map_err(|error| error.to_string())?;
        let before = workspace.read_for_change(&path).map_err(|error| error.to_string())?;
        let mut after = before.clone().unwrap_or_default();
        after.extend_from_slice(text.as_bytes());
        workspace
            .replace(&path, before.as_deref(), Some(&after))
            .map_err(|error| error.to_string())
    }
}

struct KeptCheckpoints(CheckpointStore);

impl Checkpoints for KeptCheckpoints {
    fn save(&self, context: &ToolContext, path: &str, before: Option<Vec<u8>>, after_sha256: &str) -> BoxFuture<'_, Result<(), String>> {
        let (context, path, after_sha256) = (context.clone(), path.to_owned(), after_sha256.to_owned());
        async move { self.0.save(&context, &path, before, &after_sha256).await }.boxed()
    }

    fn saved(&self, context: &ToolContext, path: &str) -> BoxFuture<'_, Option<String>> {
        let (context, path) = (context.clone(), path.to_owned());
        async move { self.0.saved(&context, &path).await }.boxed()
    }
}

struct KeptOutputs(OutputStore);

impl Outputs for KeptOutputs {
    fn keep(&self, piece: Vec<u8>) -> BoxFuture<'_, Result<Piece, String>> {
        let keeping = async move {
            let KeptPiece { blob, rows } = self.0.keep(piece).await?;
            Ok(Piece { name: blob, rows })
        };
        keeping.boxed()
    }

    fn join(&self, pieces: Vec<Piece>) -> BoxFuture<'_, Result<String, String>> {
        let pieces = pieces
            .into_iter()
            .map(|Piece { name, rows }| KeptPiece { blob: name, rows })
            .collect();
        async move { self.0.join(pieces).await.map(|blob| format!("blob:{blob}")) }.boxed()
    }
}

struct WorkspaceRestorer(Workspace);

impl Restorer for WorkspaceRestorer {
    fn restore(&self, path: &str, before: Option<&[u8]>, after_sha256: &str) -> Result<(), String> {
        match restore(&self.0, path, before, after_sha256) {
            Ok(Restored::Done) => Ok(()),
            Ok(Restored::Changed) => Err("it has changed since".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}
