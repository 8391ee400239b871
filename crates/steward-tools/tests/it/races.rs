//! A symlink swapped in while files are read and written leads nowhere.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use steward_domain::tool::ToolOutcome;

use crate::stage::{stage, text_of};

const FLIPS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_swaps_never_reach_outside() {
    let stage = stage().await;
    std::fs::create_dir(stage.outside("prison")).expect("made");
    std::fs::write(stage.outside("prison/file"), "outside").expect("written");
    stage.put("real/file", "inside");
    let (link, real, name) = (stage.host("link"), stage.host("real"), stage.host("name"));
    symlink(stage.outside("prison"), &link).expect("linked");
    let flips = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let (mut reached, mut done) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // `name` is the real folder and the link out by turns.
            while flips.load(Ordering::Relaxed) < FLIPS && !is_over.load(Ordering::Relaxed) {
                std::fs::rename(&real, &name).expect("renamed");
                std::fs::rename(&name, &real).expect("renamed");
                std::fs::rename(&link, &name).expect("renamed");
                std::fs::rename(&name, &link).expect("renamed");
                flips.fetch_add(2, Ordering::Relaxed);
            }
        });
        let calls = async {
            while flips.load(Ordering::Relaxed) < FLIPS {
                for (tool, arguments) in [
                    ("read", json!({ "path": "name/file" })),
                    ("search", json!({ "pattern": "outside" })),
                    ("write", json!({ "path": "name/file", "content": "inside" })),
                    ("edit", json!({ "path": "name/file", "old": "outside", "new": "inside" })),
                ] {
                    if let ToolOutcome::Done(output) = stage.call(tool, arguments).await {
                        done += 1;
                        reached += usize::from(text_of(&output).contains("outside"));
                    }
                }
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(calls));
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(done > 0, "no call got through at all");
    assert_eq!(reached, 0, "of {done} calls");
    assert_eq!(std::fs::read_to_string(stage.outside("prison/file")).expect("read"), "outside");
    let strangers = std::fs::read_dir(stage.outside("prison")).expect("listed").count();
    assert_eq!(strangers, 1, "something was written outside");
}
