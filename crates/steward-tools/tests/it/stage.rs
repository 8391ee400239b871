//! A workspace, the tools on it, and a keeper of checkpoints that remembers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::Value;
use steward_domain::files::{FileRules, NoFileRules};
use steward_domain::id::{AgentName, CallId, SessionId, TurnId};
use steward_domain::message::Part;
use steward_domain::tool::{Tool, ToolContext, ToolOutcome, ToolOutput};
use steward_sandbox::Sandbox;
use steward_sandbox::egress::Egress;
use steward_tools::checkpoint::Checkpoints;
use steward_tools::config::Config;
use steward_tools::outputs::{Outputs, Piece};
use steward_tools::toolbox::{Kept as KeptOutside, Toolbox};
use steward_tools::workspace::Workspace;

/// One checkpoint, with what the file held on disk when it was saved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) path: String,
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) after_sha256: String,
    pub(crate) on_disk: Option<Vec<u8>>,
}

/// Keeps checkpoints in memory.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    root: PathBuf,
    pub(crate) kept: Mutex<Vec<Kept>>,
    pub(crate) refuses: Mutex<bool>,
    /// Does it tell what a call saved before a crash?
    pub(crate) tells: Mutex<bool>,
    /// Pieces of outputs.
    pub(crate) pieces: Mutex<Vec<Vec<u8>>>,
}

impl Outputs for Keeper {
    fn keep(&self, piece: Vec<u8>) -> BoxFuture<'_, Result<Piece, String>> {
        let rows = steward_domain::rows::rows(&piece).count();
        let mut pieces = self.pieces.lock().expect("the list");
        pieces.push(piece);
        let name = pieces.len().to_string();
        Box::pin(std::future::ready(Ok(Piece { name, rows })))
    }

    fn join(&self, pieces: Vec<Piece>) -> BoxFuture<'_, Result<String, String>> {
        let names: Vec<String> = pieces.into_iter().map(|piece| piece.name).collect();
        Box::pin(std::future::ready(Ok(format!("blob:{}", names.join("+")))))
    }
}

impl Checkpoints for Keeper {
    fn save(&self, _context: &ToolContext, path: &str, before: Option<Vec<u8>>, after_sha256: &str) -> BoxFuture<'_, Result<(), String>> {
        let on_disk = std::fs::read(self.root.join(path)).ok();
        let kept = Kept {
            path: path.to_owned(),
            before,
            after_sha256: after_sha256.to_owned(),
            on_disk,
        };
        Box::pin(async move {
            if *self.refuses.lock().expect("a flag") {
                return Err("the disk is full".into());
            }
            self.kept.lock().expect("the list").push(kept);
            Ok(())
        })
    }

    fn saved(&self, _context: &ToolContext, path: &str) -> BoxFuture<'_, Option<String>> {
        let tells = *self.tells.lock().expect("a flag");
        let kept = self.kept.lock().expect("the list");
        let found = kept
            .iter()
            .rev()
            .find(|kept| kept.path == path)
            .map(|kept| kept.after_sha256.clone())
            .filter(|_| tells);
        Box::pin(std::future::ready(found))
    }
}

/// Everything a test needs.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) workspace: Workspace,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) tools: BTreeMap<&'static str, Arc<dyn Tool>>,
}

/// A stage without network.
pub(crate) async fn stage() -> Stage {
    stage_with(Config::default(), &[]).await
}

/// A stage whose guarded client reaches the named places.
pub(crate) async fn stage_with(config: Config, allow: &[String]) -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir(&root).expect("made");
    let workspace = Workspace::open(&root).expect("opened");
    let keeper = Arc::new(Keeper { root, ..Keeper::default() });
    let sandbox = Arc::new(Sandbox::probe(steward_sandbox::Config::default()).await);
    assert_eq!(sandbox.backend(), Some(steward_sandbox::Backend::Bubblewrap), "{}", sandbox.why());
    let egress = Arc::new(Egress::new(Some(allow)));
    let kept = KeptOutside {
        checkpoints: keeper.clone(),
        outputs: keeper.clone(),
        shown_chars: 16_000,
    };
    let tools = Toolbox::build(&config, workspace.clone(), sandbox, egress, kept);
    let tools = tools.into_iter().map(|tool| (tool.spec().name, tool)).collect();
    Stage {
        folder,
        workspace,
        keeper,
        tools,
    }
}

/// The context of a call.
pub(crate) fn context(is_repeat: bool) -> ToolContext {
    context_with(is_repeat, Arc::new(NoFileRules))
}

/// The context of a call for which some files have limits.
pub(crate) fn context_with(is_repeat: bool, files: Arc<dyn FileRules>) -> ToolContext {
    ToolContext {
        files,
        turn: TurnId::from_text("turn_1"),
        session: SessionId::from_text("ses_1"),
        agent: AgentName::from_text("main"),
        call: CallId::from_text("call_1"),
        is_repeat,
    }
}

impl Stage {
    /// A path on the host.
    pub(crate) fn host(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    /// A path beside the workspace.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.host(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("made");
        std::fs::write(path, content).expect("written");
    }

    pub(crate) fn get(&self, path: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.host(path)).expect(path)).into_owned()
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> ToolOutcome {
        self.tools[tool].call(arguments, context(false)).await
    }

    pub(crate) async fn repeat(&self, tool: &str, arguments: Value) -> ToolOutcome {
        self.tools[tool].call(arguments, context(true)).await
    }

    /// The output of a call that must be done.
    pub(crate) async fn output(&self, tool: &str, arguments: Value) -> ToolOutput {
        match self.call(tool, arguments.clone()).await {
            ToolOutcome::Done(output) => output,
            other => panic!("{tool} {arguments} ended with {other:?}"),
        }
    }

    /// The text of a call that must be done.
    pub(crate) async fn text(&self, tool: &str, arguments: Value) -> String {
        text_of(&self.output(tool, arguments).await)
    }

    /// The reason of a call that must not be done.
    pub(crate) async fn reason(&self, tool: &str, arguments: Value) -> String {
        match self.call(tool, arguments.clone()).await {
            ToolOutcome::Failed { reason } | ToolOutcome::Refused { reason } => reason,
            other => panic!("{tool} {arguments} ended with {other:?}"),
        }
    }
}

/// The text parts of an output.
pub(crate) fn text_of(output: &ToolOutput) -> String {
    let texts = output.parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("")
}

/// Waits until something holds; a test that would wait for ever fails.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
