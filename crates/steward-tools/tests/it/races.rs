//! A symlink swapped in while files are read and written leads nowhere.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, RenameFlags, renameat_with};
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
    let (link, name) = (stage.host("link"), stage.host("name"));
    std::fs::rename(stage.host("real"), &name).expect("renamed");
    symlink(stage.outside("prison"), &link).expect("linked");
    let flips = AtomicUsize::new(0);
    let (mut reached, mut done, mut unguarded) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // `name` is the real folder and the link out by turns, and always one of them.
            while flips.fetch_add(1, Ordering::Relaxed) < FLIPS {
                renameat_with(CWD, &name, CWD, &link, RenameFlags::EXCHANGE).expect("exchanged");
                // Without a pause all swaps would be over before the first call.
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let calls = async {
            while flips.load(Ordering::Relaxed) < FLIPS {
                // The control: a plain read by path does get outside.
                unguarded += usize::from(std::fs::read_to_string(name.join("file")).is_ok_and(|text| text == "outside"));
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
    });
    assert!(done > 0, "no call got through at all");
    assert!(unguarded > 0, "the swaps were not seen even without a guard");
    assert_eq!(reached, 0, "of {done} calls");
    assert_eq!(std::fs::read_to_string(stage.outside("prison/file")).expect("read"), "outside");
    let strangers = std::fs::read_dir(stage.outside("prison")).expect("listed").count();
    assert_eq!(strangers, 1, "something was written outside");
}
