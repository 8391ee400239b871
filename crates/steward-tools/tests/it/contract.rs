//! Every tool keeps the promises that all tools make.

use serde_json::json;
use steward_testkit::contract::tool::ToolRig;
use steward_testkit::tool_contract;

use crate::stage::{Stage, stage, stage_with};
use crate::web::{answer, search_config, serve};

/// Makes a rig on a thread of its own: a runtime may not start inside another one.
fn apart(make: impl FnOnce() -> ToolRig + Send) -> ToolRig {
    std::thread::scope(|scope| scope.spawn(make).join().expect("the rig is made"))
}

fn rig(tool: &str, arguments: serde_json::Value) -> ToolRig {
    apart(|| plain_rig(tool, arguments))
}

fn plain_rig(tool: &str, arguments: serde_json::Value) -> ToolRig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let stage = runtime.block_on(stage());
    stage.put("file", "one\ntwo\n");
    with(stage, tool, arguments, runtime)
}

fn with(stage: Stage, tool: &str, arguments: serde_json::Value, keep: tokio::runtime::Runtime) -> ToolRig {
    let tool = stage.tools[tool].clone();
    ToolRig::new(tool, arguments, Kept(std::sync::Mutex::new(Some((stage, keep)))))
}

/// A runtime may not be dropped inside another one.
struct Kept(std::sync::Mutex<Option<(Stage, tokio::runtime::Runtime)>>);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some((stage, runtime)) = self.0.lock().expect("one owner").take() {
            drop(stage);
            runtime.shutdown_background();
        }
    }
}

/// A tool of a stage in which `p1` runs.
fn rig_with_process(tool: &str, arguments: serde_json::Value) -> ToolRig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let stage = runtime.block_on(async {
        let stage = stage().await;
        stage.output("shell", json!({ "command": "cat", "background": true })).await;
        stage
    });
    with(stage, tool, arguments, runtime)
}

fn rig_with_server(tool: &str, arguments: impl FnOnce(u16) -> serde_json::Value) -> ToolRig {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (stage, port) = runtime.block_on(async {
        let server = serve(answer(
            "application/json",
            r#"{"results":[{"title":"A","url":"http://a/","content":"one"}]}"#,
        ))
        .await;
        (
            stage_with(search_config(server.port), &[format!("127.0.0.1:{}", server.port)]).await,
            server.port,
        )
    });
    with(stage, tool, arguments(port), runtime)
}

tool_contract!(read, rig("read", json!({ "path": "file" })));
tool_contract!(list, rig("list", json!({ "path": "." })));
tool_contract!(search, rig("search", json!({ "pattern": "two" })));
tool_contract!(write, rig("write", json!({ "path": "new", "content": "x" })));
tool_contract!(edit, rig("edit", json!({ "path": "file", "old": "two", "new": "2" })));
tool_contract!(
    apply_patch,
    rig(
        "apply_patch",
        json!({ "patch": "*** Begin Patch\n*** Add File: new\n+x\n*** End Patch" })
    )
);
tool_contract!(shell, rig("shell", json!({ "command": "echo hello" })));
tool_contract!(shell_poll, apart(|| rig_with_process("shell_poll", json!({ "id": "p1" }))));
tool_contract!(
    shell_write,
    apart(|| rig_with_process("shell_write", json!({ "id": "p1", "text": "x\n" })))
);
tool_contract!(shell_kill, apart(|| rig_with_process("shell_kill", json!({ "id": "p1" }))));
tool_contract!(
    web_fetch,
    apart(|| rig_with_server("web_fetch", |port| json!({ "url": format!("http://127.0.0.1:{port}/") })))
);
tool_contract!(web_search, apart(|| rig_with_server("web_search", |_| json!({ "query": "boats" }))));

#[tokio::test]
async fn all_tools_together_are_a_small_prompt() {
    let stage = stage().await;
    assert_eq!(stage.tools.len(), 12);
    let definitions: Vec<_> = stage
        .tools
        .values()
        .map(|tool| json!({ "name": tool.spec().name, "description": tool.spec().description, "parameters": tool.spec().input_schema }))
        .collect();
    let tokens = bpe_openai::cl100k_base().count(serde_json::to_string(&definitions).expect("JSON").as_str());
    println!("{tokens} tokens");
    assert!(tokens < 1200, "{tokens} tokens");
}
