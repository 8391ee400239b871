//! What passes with time alone, on a clock moved by hand: nothing where nothing is to do, a No where nobody answers.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect fails")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use serde_json::{Value, json};
use steward_budget::price::Price;
use steward_domain::approval::ApprovalState;
use steward_domain::clock::Clock;
use steward_domain::decision::Effect;
use steward_domain::id::{AgentName, CallId, ChannelName, TurnId};
use steward_domain::journal::TurnStatus;
use steward_domain::limits::TurnLimits;
use steward_domain::message::Part;
use steward_domain::model::{Answerer, Caller, Finish, FinishReason, Model, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::principal::Surface;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolSpec};
use steward_domain::usage::{Usage, UsageSource};
use steward_policy::config::Config;
use steward_policy::policy::Policy;
use steward_runtime::access::Identity;
use steward_runtime::config::{Agent, ModelFacts, QueueMode, Settings};
use steward_runtime::inbox::NewMessage;
use steward_runtime::runtime::{Parts, Runtime, Workbench};
use steward_runtime::undo::Restorer;
use steward_store::Store;
use steward_testkit::fake_clock::FakeClock;
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);
/// How long a person has to answer whether a call may run.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Must never be asked. A panic alone would end in the task that asks, so it also leaves a mark.
#[derive(Default)]
struct NoModel {
    was_asked: Arc<AtomicBool>,
}

impl Model for NoModel {
    fn stream(&self, _: ModelRequest, _: Caller) -> BoxStream<'static, ModelEvent> {
        self.was_asked.store(true, Ordering::SeqCst);
        panic!("a model was asked although there is nothing to do");
    }
}

/// Asks for the dangerous tool first and ends with a sentence after.
#[derive(Default)]
struct Eager {
    answers: AtomicU32,
}

impl Model for Eager {
    fn stream(&self, _: ModelRequest, _: Caller) -> BoxStream<'static, ModelEvent> {
        let is_first = self.answers.fetch_add(1, Ordering::SeqCst) == 0;
        let content = if is_first {
            let (index, id) = (0, CallId::from("call-1"));
            let started = ModelEvent::ToolCallStarted {
                index,
                id,
                name: "launch".into(),
                signature: None,
            };
            vec![started, ModelEvent::ToolCallArguments { index, json: "{}".into() }]
        } else {
            vec![ModelEvent::Text("Nobody said yes, so I leave it.".into())]
        };
        let answerer = Answerer {
            target: "test/eager".into(),
            attempts: 1,
            ..Answerer::default()
        };
        let end = ModelEvent::Finished(Box::new(Finish {
            reason: if is_first { FinishReason::ToolCalls } else { FinishReason::Stop },
            usage: Usage::default(),
            usage_source: UsageSource::Reported,
            cost: Usd::ZERO,
        }));
        let all = [vec![ModelEvent::Started(answerer)], content, vec![end]].concat();
        stream::iter(all).boxed()
    }
}

/// Destroys, if it is ever let.
struct Launch {
    spec: ToolSpec,
    did_run: Arc<AtomicBool>,
}

impl Tool for Launch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, _: Value, _: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        self.did_run.store(true, Ordering::SeqCst);
        Box::pin(async { ToolOutcome::done("launched") })
    }
}

#[derive(Default)]
struct Bench {
    did_launch: Arc<AtomicBool>,
}

impl Workbench for Bench {
    fn tools(&self, _: &Agent) -> Result<Vec<Arc<dyn Tool>>, String> {
        let spec = ToolSpec {
            name: "launch",
            group: "shell",
            description: "Launches it.",
            input_schema: json!({"type": "object", "properties": {}}),
            effect: Effect::Destroys,
            repeat: Repeat::Never,
            gives_outside: false,
        };
        Ok(vec![Arc::new(Launch {
            spec,
            did_run: Arc::clone(&self.did_launch),
        })])
    }

    fn restorer(&self, _: &Agent) -> Result<Box<dyn Restorer>, String> {
        Err("nothing is restored here".into())
    }

    fn append(&self, _: &Agent, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }
}

struct Free;

impl ModelFacts for Free {
    fn price(&self, _: &str) -> Option<Price> {
        Some(Price::free("test"))
    }

    fn context_tokens(&self, _: &str) -> u64 {
        100_000
    }

    fn exists(&self, _: &str) -> bool {
        true
    }
}

struct House {
    runtime: Arc<Runtime>,
    clock: FakeClock,
    did_launch: Arc<AtomicBool>,
    _folder: TempDir,
}

async fn house(model: impl Model + 'static) -> House {
    let folder = TempDir::with_prefix("steward-idle-").unwrap();
    let clock = FakeClock::default();
    let url = format!("sqlite:{}", folder.path().join("steward.db").display());
    let name = AgentName::from("main");
    let agent = Agent {
        name: name.clone(),
        route: "default".into(),
        workspace: folder.path().join("workspace"),
        tools: vec!["shell".into()],
        limits: TurnLimits::default(),
        mode: QueueMode::Steer,
    };
    let bench = Bench::default();
    let did_launch = Arc::clone(&bench.did_launch);
    let runtime = Runtime::new(Parts {
        store: Store::open(&url, clock.now()).unwrap(),
        clock: Arc::new(clock.clone()),
        model: Arc::new(model),
        settings: Settings {
            agents: BTreeMap::from([(name, agent)]),
            policy: Arc::new(Policy::new(&Config::default(), HashMap::new(), Vec::new(), None).unwrap()),
            models: Arc::new(Free),
        },
        workbench: Arc::new(bench),
        channels: Vec::new(),
    });
    runtime.start().await.unwrap();
    House {
        runtime,
        clock,
        did_launch,
        _folder: folder,
    }
}

impl House {
    async fn send(&self, text: &str) -> TurnId {
        let message = NewMessage {
            principal: Identity::owner().principal,
            surface: Surface::Cli,
            channel: ChannelName::from("terminal"),
            agent: AgentName::from("main"),
            thread: "s".into(),
            external_id: "1".into(),
            parts: vec![Part::text(text)],
        };
        self.runtime.send(message).await.unwrap().turn.unwrap()
    }

    async fn wait_for(&self, turn: &TurnId, status: TurnStatus) {
        for _ in 0..2_000 {
            if self.runtime.turn(turn, &Identity::owner()).await.unwrap().status == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("the turn is never {status:?}");
    }
}

#[tokio::test]
async fn thirty_days_with_nothing_to_do_make_no_model_call() {
    let model = NoModel::default();
    let was_asked = Arc::clone(&model.was_asked);
    let house = house(model).await;
    let began = house.clock.now();
    for _ in 0..30 * 24 {
        assert!(house.clock.wait_for_sleepers(1).await, "something still looks after the house");
        house.clock.advance(HOUR).await;
    }
    assert_eq!(house.clock.now().duration_since(began).as_hours(), 720);
    let turns = house.runtime.turns(Default::default(), &Identity::owner()).await.unwrap();
    assert!(turns.is_empty());
    assert!(!was_asked.load(Ordering::SeqCst));
    house.runtime.shutdown().await;
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_no_after_ten_minutes() {
    let house = house(Eager::default()).await;
    let turn = house.send("launch it").await;
    house.wait_for(&turn, TurnStatus::Waiting).await;
    assert!(house.clock.wait_for_sleepers(1).await);
    house.clock.advance(PATIENCE - Duration::from_secs(30)).await;
    let open = house.runtime.approvals(true, &Identity::owner()).await.unwrap();
    assert_eq!(open.len(), 1, "half a minute is left");
    let mut is_over = false;
    for _ in 0..20 {
        assert!(house.clock.wait_for_sleepers(1).await);
        house.clock.advance(Duration::from_secs(5)).await;
        is_over |= house.runtime.approvals(true, &Identity::owner()).await.unwrap().is_empty();
    }
    assert!(is_over, "time is over");
    house.wait_for(&turn, TurnStatus::Done).await;
    let all = house.runtime.approvals(false, &Identity::owner()).await.unwrap();
    assert_eq!(all[0].state, ApprovalState::Expired);
    let view = house.runtime.turn(&turn, &Identity::owner()).await.unwrap();
    assert_eq!(view.steps[0].calls[0].outcome, Some("refused"));
    assert!(!house.did_launch.load(Ordering::SeqCst));
    house.runtime.shutdown().await;
}
