//! Nothing outlives its handle, and no limit is passed.

use std::time::{Duration, Instant};

use steward_sandbox::{Backend, Config, Ended, Limits};
use tokio::io::AsyncReadExt;

use crate::stage::{BACKENDS, stage, stage_with, until_gone, until_running, within};

/// Seconds that no other sleep on this machine uses.
pub(crate) fn unusual_seconds() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("98{}.{:03}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Leaves the parent, the session and the group as far as it is let.
pub(crate) fn daemonised(seconds: &str) -> String {
    format!("(setsid sleep {seconds} & ) ; (nohup sh -c 'setsid sleep {seconds} || sleep {seconds}' >/dev/null 2>&1 &) ; sleep {seconds}")
}

#[tokio::test]
async fn dropping_a_child_leaves_no_process() {
    for backend in BACKENDS {
        for pty in [None, Some((24, 80))] {
            let stage = stage(backend).await;
            let seconds = unusual_seconds();
            let mut command = stage.shell(&daemonised(&seconds));
            command.pty = pty;
            let child = stage.start(command).await;
            until_running(&format!("sleep\0{seconds}")).await;
            drop(child);
            until_gone(&format!("sleep\0{seconds}")).await;
        }
    }
}

#[tokio::test]
async fn what_was_left_in_the_background_ends_with_the_command() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let seconds = unusual_seconds();
        let mut child = stage
            .start(stage.shell(&format!(
                "(setsid sleep {seconds} >/dev/null 2>&1 || sleep {seconds}) & sleep 0.2; exit 4"
            )))
            .await;
        let exit = within(child.wait()).await.expect("it ends");
        assert_eq!((exit.code, exit.ended), (4, Ended::ByItself), "{backend}");
        until_gone(&format!("sleep\0{seconds}")).await;
    }
}

#[tokio::test]
async fn dropping_a_child_at_once_leaves_no_process() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let seconds = unusual_seconds();
        for _ in 0..20 {
            drop(stage.start(stage.shell(&daemonised(&seconds))).await);
        }
        until_gone(&seconds).await;
    }
}

#[tokio::test]
async fn killing_is_told_as_killing() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut child = stage.start(stage.shell("sleep 1000")).await;
        child.kill();
        let exit = within(child.wait()).await.expect("it ends");
        assert_eq!((exit.code, exit.ended), (137, Ended::Killed), "{backend}");
        assert_eq!(within(child.wait()).await.expect("again").ended, Ended::Killed, "{backend}");
    }
}

#[tokio::test]
async fn time_is_limited() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut command = stage.shell("sleep 1000");
        command.time_limit = Some(Duration::from_millis(300));
        let begun = Instant::now();
        let (_, exit) = stage.finish(command).await;
        assert_eq!(exit.ended, Ended::TimeLimit, "{backend}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{backend}");
    }
}

#[tokio::test]
async fn output_is_limited() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut command = stage.shell("yes");
        command.output_limit = Some(100_000);
        let (output, exit) = stage.finish(command).await;
        assert_eq!((output.len(), exit.ended), (100_000, Ended::OutputLimit), "{backend}");
        let mut command = stage.shell("head -c 100000 /dev/zero");
        command.output_limit = Some(100_000);
        let (output, exit) = stage.finish(command).await;
        assert_eq!((output.len(), exit.ended), (100_000, Ended::ByItself), "{backend}: an exact fit");
    }
}

#[tokio::test]
async fn a_fork_bomb_is_bounded() {
    for backend in BACKENDS {
        let limits = Limits {
            processes: 60,
            ..Limits::default()
        };
        let stage = stage_with(Config {
            backend,
            limits,
            ..Config::default()
        })
        .await;
        let seconds = unusual_seconds();
        let bomb = format!(
            "import os,time\nn=0\ntry:\n  while n<5000:\n    if os.fork()==0:\n      os.execvp('sleep',['sleep','{seconds}'])\n    n+=1\nexcept OSError: pass\nprint(n,flush=True)\n"
        );
        let mut command = stage.shell("exec python3 -");
        command.argv = vec!["python3".into(), "-c".into(), bomb];
        command.time_limit = Some(Duration::from_secs(30));
        let (output, _) = stage.finish(command).await;
        let count: u32 = output.trim().parse().unwrap_or_else(|_| panic!("{backend}: {output}"));
        assert!((10..=70).contains(&count), "{backend}: {count} processes");
        until_gone(&format!("sleep\0{seconds}")).await;
    }
}

#[tokio::test]
async fn memory_and_file_size_are_limited() {
    for backend in BACKENDS {
        let limits = Limits {
            memory: 256 << 20,
            file: 1 << 20,
            ..Limits::default()
        };
        let stage = stage_with(Config {
            backend,
            limits,
            ..Config::default()
        })
        .await;
        let (output, exit) = stage
            .run("python3 -c 'x = bytearray(400 << 20)' 2>&1 | tail -1; head -c 3000000 /dev/zero > big; stat -c %s big")
            .await;
        assert!(output.contains("MemoryError"), "{backend}: {output}");
        assert!(output.trim_end().ends_with("1048576"), "{backend}: {output} {exit:?}");
    }
}

#[tokio::test]
async fn processes_together_use_no_more_memory_than_one_may() {
    for backend in BACKENDS {
        let limits = Limits {
            memory: 256 << 20,
            ..Limits::default()
        };
        let stage = stage_with(Config {
            backend,
            limits,
            ..Config::default()
        })
        .await;
        // Their parent ends at once, so they are nobody's children but the keeper's.
        let hog = "import os,time\nif os.fork(): time.sleep(60)\nfor i in range(4):\n  if os.fork()==0:\n    x=bytearray(b'x')*(150<<20)\n    time.sleep(60)\n";
        let mut command = stage.shell("");
        command.argv = vec!["python3".into(), "-c".into(), hog.into()];
        let (_, exit) = stage.finish(command).await;
        assert_eq!(exit.ended, Ended::MemoryLimit, "{backend}");
    }
}

#[tokio::test]
async fn a_runtime_thread_that_ends_does_not_end_the_command() {
    // The kernel ends a sandbox with the thread that forked it; that thread must not be one of the caller's.
    let stage = stage(Backend::Bubblewrap).await;
    let command = stage.shell("sleep 0.5; echo alive");
    let sandbox = stage.sandbox.clone();
    let handle = tokio::runtime::Handle::current();
    let spawning = std::thread::spawn(move || handle.block_on(sandbox.spawn(command)));
    while !spawning.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut child = spawning.join().expect("the thread ends").expect("it starts");
    let mut output = String::new();
    within(child.take_stdout().expect("stdout").read_to_string(&mut output))
        .await
        .expect("read");
    assert_eq!(output, "alive\n");
}

#[tokio::test]
#[ignore = "measures; run with --ignored --nocapture"]
async fn spawning_is_timed() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..200 {
            let begun = Instant::now();
            stage.run("true").await;
            times.push(begun.elapsed());
        }
        times.sort();
        println!("{backend}: p50 {:?}, p99 {:?}", times[100], times[198]);
    }
}
