//! What the tests stand on: a router over scripted providers, a meter that remembers, a clock that is real.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use steward_domain::clock::{Clock, Timestamp};
use steward_domain::id::RequestId;
use steward_domain::message::{Message, Role};
use steward_domain::meter::{Meter, Refusal, SettledCall};
use steward_domain::model::{Answerer, Caller, Finish, Model, ModelError, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::principal::Principal;
use steward_domain::usage::{Usage, UsageSource};
use steward_inference::catalog::Catalog;
use steward_inference::route::{Router, RouterParts};
use steward_inference::tables::RouterTables;
use steward_testkit::script::{Reply, Script};
use steward_testkit::scripted_model::ScriptedModelServer;

/// The clock of the machine.
pub(super) struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanosecond(
            i128::try_from(
                std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_nanos(),
            )
            .unwrap(),
        )
        .unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// What was booked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Booked {
    pub(super) route: String,
    pub(super) target: String,
    pub(super) usage: Usage,
    pub(super) source: UsageSource,
    pub(super) status: String,
    pub(super) has_first_token: bool,
}

impl Booked {
    fn of(call: &SettledCall<'_>) -> Self {
        Booked {
            route: call.route.to_owned(),
            target: call.target.to_owned(),
            usage: call.usage,
            source: call.source,
            status: call.status.to_owned(),
            has_first_token: call.first_token_ms.is_some(),
        }
    }
}

/// A meter that remembers. An input token costs one pico-dollar, an output token two.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) reserved: Mutex<Vec<String>>,
    pub(super) released: Mutex<Vec<String>>,
    pub(super) booked: Mutex<Vec<Booked>>,
    /// Answers that were given again.
    pub(super) free: Mutex<Vec<Booked>>,
    /// Targets that no budget allows.
    pub(super) refuses: Vec<&'static str>,
}

impl Ledger {
    pub(super) fn booked(&self) -> Vec<Booked> {
        self.booked.lock().unwrap().clone()
    }

    /// Every reservation has had its end, and only one.
    pub(super) fn assert_balanced(&self) {
        let mut ended: Vec<String> = self.booked().into_iter().map(|call| call.target).collect();
        ended.extend(self.released.lock().unwrap().iter().cloned());
        let mut reserved = self.reserved.lock().unwrap().clone();
        ended.sort();
        reserved.sort();
        assert_eq!(reserved, ended);
    }
}

impl Meter for Ledger {
    fn reserve<'a>(&'a self, request: &'a ModelRequest, _: &'a Caller, target: &'a str) -> BoxFuture<'a, Result<Usd, Refusal>> {
        assert!(!request.model.is_empty());
        if self.refuses.contains(&target) {
            let reason = "budget team:a is used up until tomorrow".to_owned();
            return async move { Err(Refusal { reason }) }.boxed();
        }
        self.reserved.lock().unwrap().push(target.to_owned());
        async { Ok(Usd::from_pico(1)) }.boxed()
    }

    fn settle<'a>(&'a self, call: SettledCall<'a>) -> BoxFuture<'a, Usd> {
        self.booked.lock().unwrap().push(Booked::of(&call));
        let cost = Usd::from_pico(i128::from(call.usage.total_input() + 2 * call.usage.total_output()));
        async move { cost }.boxed()
    }

    fn book_free<'a>(&'a self, _: &'a ModelRequest, call: SettledCall<'a>) -> BoxFuture<'a, ()> {
        self.free.lock().unwrap().push(Booked::of(&call));
        async {}.boxed()
    }

    fn release<'a>(&'a self, _: &'a Caller, target: &'a str) -> BoxFuture<'a, ()> {
        self.released.lock().unwrap().push(target.to_owned());
        async {}.boxed()
    }
}

/// A router with its ledger.
pub(super) struct Bench {
    pub(super) router: Router,
    pub(super) ledger: Arc<Ledger>,
}

/// What one call gave.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) request: RequestId,
    pub(super) events: Vec<ModelEvent>,
}

impl Bench {
    pub(super) fn new(config: &str) -> Self {
        Bench::with(config, Ledger::default(), Arc::new(RealClock))
    }

    pub(super) fn with(config: &str, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        let ledger = Arc::new(ledger);
        let parts = RouterParts {
            tables: tables(config, HashMap::new()),
            meter: Arc::clone(&ledger) as Arc<dyn Meter>,
            clock,
        };
        let router = Router::new(parts).unwrap();
        Bench { router, ledger }
    }

    pub(super) async fn ask(&self, model: &str) -> Outcome {
        self.ask_with(ModelRequest::new(model, vec![Message::text(Role::User, "hello there")]))
            .await
    }

    pub(super) async fn ask_with(&self, request: ModelRequest) -> Outcome {
        let caller = caller();
        let id = caller.request.clone();
        let events = self.router.stream(request, caller).collect().await;
        self.router.drain().await;
        Outcome { request: id, events }
    }
}

impl Outcome {
    pub(super) fn text(&self) -> String {
        let text = |event: &ModelEvent| match event {
            ModelEvent::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }

    pub(super) fn answerer(&self) -> &Answerer {
        match &self.events[0] {
            ModelEvent::Started(answerer) => answerer,
            other => panic!("the first event is {other:?}"),
        }
    }

    pub(super) fn finish(&self) -> &Finish {
        match self.events.last() {
            Some(ModelEvent::Finished(finish)) => finish,
            other => panic!("the last event is {other:?}"),
        }
    }

    /// The error of a call that failed. Nothing came before it if `has_content` is false.
    pub(super) fn error(&self) -> &ModelError {
        match self.events.last() {
            Some(ModelEvent::Failed(error)) => error,
            other => panic!("the last event is {other:?}"),
        }
    }

    pub(super) fn has_content(&self) -> bool {
        self.events.len() > 1
    }
}

pub(super) fn tables(config: &str, models: HashMap<String, Arc<dyn Model>>) -> RouterTables {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        providers: BTreeMap<String, steward_inference::config::ProviderConfig>,
        #[serde(default)]
        models: BTreeMap<String, steward_inference::config::ModelConfig>,
        #[serde(default)]
        routes: BTreeMap<String, steward_inference::config::RouteConfig>,
    }
    let file: File = toml::from_str(config).unwrap();
    RouterTables {
        catalog: Catalog::load(&file.models).unwrap(),
        providers: file.providers,
        routes: file.routes,
        models,
    }
}

pub(super) fn caller() -> Caller {
    Caller::new(Principal::System, RequestId::generate())
}

pub(super) async fn server(replies: impl IntoIterator<Item = Reply>) -> ScriptedModelServer {
    ScriptedModelServer::start(Script::sequential(replies)).await.unwrap()
}

/// `[providers.NAME]` in a dialect.
pub(super) fn provider(name: &str, dialect: &str, server: &ScriptedModelServer) -> String {
    let base_url = &server.base_url;
    format!("[providers.{name}]\ndialect = \"{dialect}\"\nbase_url = \"{base_url}\"\napi_key = \"key-of-{name}\"\n")
}

/// Two providers, `one` and `two`, and a route over a model of each with quick retries.
pub(super) fn two(one: &ScriptedModelServer, two: &ScriptedModelServer) -> String {
    let route = "[routes.default]\ntargets = [{ model = \"one/m\" }, { model = \"two/m\" }]\n\
        retry = { attempts = 1, base = \"1ms\", max = \"50ms\" }\n";
    provider("one", "openai-chat", one) + &provider("two", "anthropic", two) + route
}

/// The causes of the attempts at a call.
pub(super) fn attempts(bench: &Bench, outcome: &Outcome) -> Vec<(String, Option<u16>)> {
    let explanation = bench.router.explain(&outcome.request).unwrap();
    explanation
        .attempts
        .into_iter()
        .map(|attempt| (attempt.target, attempt.status))
        .collect()
}
