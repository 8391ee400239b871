//! A house for one test: a temporary home with its configuration, a scripted model, and the server once it is started.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use steward_testkit::script::Script;
use steward_testkit::scripted_model::ScriptedModelServer;
use tempfile::TempDir;

use crate::running::{self, PATIENCE, Ran, Server};

/// The model of every house, priced so that costs are easy to compute.
pub(crate) const MODEL: &str = "scripted/m";
/// US dollars a million tokens, in and out.
const PRICES: (u128, u128) = (1, 10);
const POLL: Duration = Duration::from_millis(10);

/// A house.
pub(crate) struct House {
    pub(crate) model: ScriptedModelServer,
    folder: TempDir,
    server: Option<Server>,
    http: reqwest::Client,
}

impl House {
    /// A house with its route to the scripted model, not started.
    pub(crate) async fn prepare(script: Script) -> Self {
        House::with_dialect(script, "openai-chat").await
    }

    /// The same over another wire.
    pub(crate) async fn with_dialect(script: Script, dialect: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let house = House {
            model: ScriptedModelServer::start(script).await.unwrap(),
            folder: TempDir::with_prefix("steward-it-").unwrap(),
            server: None,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        fs::create_dir(house.home()).unwrap();
        house.configure(&house.configuration(dialect));
        house
    }

    /// A running house.
    pub(crate) async fn start(script: Script) -> Self {
        let mut house = House::prepare(script).await;
        house.serve().await;
        house
    }

    /// The configuration every house has.
    fn configuration(&self, dialect: &str) -> String {
        let (input, output) = PRICES;
        format!(
            "[providers.scripted]\ndialect = \"{dialect}\"\nbase_url = \"{url}\"\napi_key = \"sk-test\"\n\n\
             [models.\"{MODEL}\"]\ninput_usd_per_mtok = {input}.0\noutput_usd_per_mtok = {output}.0\ncontext_tokens = 128000\n\n\
             [routes.default]\ntargets = [ {{ model = \"{MODEL}\" }} ]\nretry = {{ attempts = 0 }}\n\n",
            url = self.model.base_url
        )
    }

    /// Replaces the whole configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.home().join("steward.toml"), text).unwrap();
    }

    /// Adds tables to the configuration.
    pub(crate) fn add_configuration(&self, text: &str) {
        let whole = self.configuration_text() + text;
        self.configure(&whole);
    }

    pub(crate) fn configuration_text(&self) -> String {
        fs::read_to_string(self.home().join("steward.toml")).unwrap()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home().with_extension("log")).unwrap_or_default()
    }

    /// A path in the workspace of agent main.
    pub(crate) fn workspace(&self, path: &str) -> PathBuf {
        self.home().join("workspaces/main").join(path)
    }

    /// Writes a file into the workspace, which is made if need be.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.workspace(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.workspace(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Starts the server.
    pub(crate) async fn serve(&mut self) {
        let server = Server::start(&self.home()).await;
        self.server = Some(server.unwrap_or_else(|ran| panic!("it does not start: {ran:?}")));
    }

    /// Tries to start the server and gives what it says when it does not.
    pub(crate) async fn serve_in_vain(&self) -> Ran {
        match Server::start(&self.home()).await {
            Ok(_) => panic!("it starts"),
            Err(ran) => ran,
        }
    }

    pub(crate) fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("the server was started")
    }

    /// Kills the server as a crash would and starts another.
    pub(crate) async fn crash_and_restart(&mut self) {
        self.server.take().expect("the server was started").kill().await;
        self.serve().await;
    }

    /// Ends the server in good order.
    pub(crate) async fn terminate(&mut self) {
        self.server.take().expect("the server was started").terminate().await;
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.as_ref().expect("the server was started").url
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    /// Runs a command on this home.
    pub(crate) async fn steward(&self, arguments: &[&str]) -> Ran {
        running::run(&self.home(), arguments).await
    }

    /// The token that stands for the owner on this machine.
    pub(crate) fn token(&self) -> String {
        let running: Value = serde_json::from_slice(&fs::read(self.home().join("run.json")).unwrap()).unwrap();
        running["token"].as_str().unwrap().to_owned()
    }

    /// A request without any credential.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url())).timeout(PATIENCE)
    }

    /// A request with a key.
    pub(crate) fn request_as(&self, key: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).bearer_auth(key)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = answer(self.request_as(&self.token(), Method::GET, path)).await;
        assert_eq!(status, 200, "GET {path}: {value}");
        value
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request_as(&self.token(), Method::POST, path).json(&body)).await
    }

    /// Sends a message and gives what is known of it at once.
    pub(crate) async fn send(&self, session: &str, text: &str) -> Value {
        let (status, value) = self.post(&format!("/api/sessions/{session}/messages"), json!({"text": text})).await;
        assert_eq!(status, 202, "{value}");
        value
    }

    /// Sends a message that begins a turn and gives the turn's id.
    pub(crate) async fn begin(&self, session: &str, text: &str) -> String {
        self.send(session, text).await["turn_id"]
            .as_str()
            .expect("it begins a turn")
            .to_owned()
    }

    /// Sends a message and gives its turn once that ended or waits.
    pub(crate) async fn say(&self, session: &str, text: &str) -> Value {
        let turn = self.begin(session, text).await;
        self.end_of(&turn).await
    }

    /// A turn once it ended or waits.
    pub(crate) async fn end_of(&self, turn: &str) -> Value {
        self.events_of(turn).await;
        self.turn(turn).await
    }

    /// All that a watcher of a turn sees, until it ended or waits.
    pub(crate) async fn events_of(&self, turn: &str) -> Vec<Value> {
        let path = format!("/api/turns/{turn}/stream");
        let response = self.request_as(&self.token(), Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let events: Vec<Value> = data_lines(&text).map(|data| serde_json::from_str(data).unwrap()).collect();
        assert_eq!(events.last().expect("events")["type"], "finished", "{text}");
        events
    }

    pub(crate) async fn turn(&self, turn: &str) -> Value {
        self.get(&format!("/api/turns/{turn}")).await
    }

    /// Resolves once a turn has this status.
    pub(crate) async fn wait_for_status(&self, turn: &str, status: &str) {
        until(&format!("turn {turn} is {status}"), async || {
            self.turn(turn).await["status"] == status
        })
        .await;
    }

    /// Resolves once the model was asked this often.
    pub(crate) async fn wait_for_calls(&self, count: u64) {
        let came = self.model.wait_for_requests(count, PATIENCE).await;
        assert!(came, "only {} model calls came; {}", self.model.count(), self.log());
    }
}

/// Sends a request and reads its answer as JSON; null where there is none.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// The data of server-sent events.
pub(crate) fn data_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("data: "))
}

/// Waits for a condition with a bound; there is no other way to wait here.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// US dollars as written, in millionths of a millionth.
pub(crate) fn pico(usd: &Value) -> u128 {
    let text = usd.as_str().unwrap_or_else(|| panic!("{usd} is no decimal string"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 12, "{text}");
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

/// What a step must cost at the prices of the house.
pub(crate) fn price_of(step: &Value) -> u128 {
    let tokens = |field: &str| u128::from(step[field].as_u64().unwrap());
    (tokens("input_tokens") * PRICES.0 + tokens("output_tokens") * PRICES.1) * 1_000_000
}

/// Every call of a turn, in order.
pub(crate) fn calls_of(turn: &Value) -> Vec<&Value> {
    let steps = turn["steps"].as_array().unwrap();
    steps.iter().flat_map(|step| step["calls"].as_array().unwrap()).collect()
}
