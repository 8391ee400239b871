//! Ordinary commands work.

use std::path::PathBuf;
use std::sync::Arc;

use steward_sandbox::{Access, Backend, Command, Config, Mount, Sandbox, SandboxError, Stdin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stage::{BACKENDS, stage, within};

#[tokio::test]
async fn a_command_tells_its_output_and_exit_code() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let (output, exit) = stage.run("echo out; echo err >&2; exit 3").await;
        assert_eq!((output.as_str(), exit.code), ("out\nerr\n", 3), "{backend}");
        let (_, exit) = stage.run("kill -TERM $$").await;
        assert_eq!(exit.code, 143, "{backend}");
    }
}

#[tokio::test]
async fn separate_streams_stay_separate() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut child = stage
            .start(Command::new(stage.path(), ["/bin/sh", "-c", "echo out; echo err >&2"]))
            .await;
        let (mut out, mut err) = (String::new(), String::new());
        within(child.take_stdout().expect("stdout").read_to_string(&mut out))
            .await
            .expect("read");
        within(child.take_stderr().expect("stderr").read_to_string(&mut err))
            .await
            .expect("read");
        assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"), "{backend}");
    }
}

#[tokio::test]
async fn input_reaches_the_command_and_closing_it_ends_it() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut command = stage.shell("cat");
        command.stdin = Stdin::Piped;
        let mut child = stage.start(command).await;
        let mut stdin = child.take_stdin().expect("stdin");
        stdin.write_all(b"hello").await.expect("written");
        drop(stdin);
        let mut output = String::new();
        within(child.take_stdout().expect("stdout").read_to_string(&mut output))
            .await
            .expect("read");
        assert_eq!(output, "hello", "{backend}");
        assert!(within(child.wait()).await.expect("ends").is_success());
    }
}

#[tokio::test]
async fn files_are_written_as_the_owner_of_the_workspace() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        std::fs::write(stage.path().join("old"), "old").expect("written");
        let (output, exit) = stage
            .run("cat old && echo new > new && echo more >> old && mkdir -p a/b && mv new a/b/")
            .await;
        assert!(exit.is_success(), "{backend}: {output}");
        assert_eq!(std::fs::read_to_string(stage.path().join("a/b/new")).expect("read"), "new\n");
        assert_eq!(std::fs::read_to_string(stage.path().join("old")).expect("read"), "oldmore\n");
    }
}

#[tokio::test]
async fn a_home_that_only_its_owner_may_enter_is_no_hindrance() {
    use std::os::unix::fs::PermissionsExt;
    let stage = stage(Backend::Bubblewrap).await;
    let workspace = stage.path().join("workspaces/main");
    std::fs::create_dir_all(&workspace).expect("made");
    for folder in [stage.path().to_owned(), stage.path().join("workspaces"), workspace.clone()] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).expect("set");
    }
    let mut command = stage.shell("pwd; echo x > file && cat file");
    command.workspace = workspace;
    let (output, exit) = stage.finish(command).await;
    assert_eq!((output.as_str(), exit.code), ("/workspace\nx\n", 0));
}

#[tokio::test]
async fn the_working_directory_is_inside_the_workspace_or_refused() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        std::fs::create_dir_all(stage.path().join("sub")).expect("made");
        std::os::unix::fs::symlink("/etc", stage.path().join("link")).expect("linked");
        let mut command = stage.shell("basename $PWD");
        command.cwd = PathBuf::from("sub");
        assert_eq!(stage.finish(command).await.0, "sub\n", "{backend}");
        for outside in ["..", "/etc", "link", "missing"] {
            let mut command = stage.shell("pwd");
            command.cwd = PathBuf::from(outside);
            assert!(stage.sandbox.spawn(command).await.is_err(), "{backend}: {outside}");
        }
    }
}

#[tokio::test]
async fn a_terminal_works_and_can_be_resized_and_interrupted() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let script = "tty; test -t 0 && echo terminal; stty size; read line; stty size; echo got $line; : > /dev/tty && echo controls; \
                      trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done";
        let mut command = stage.shell(script);
        command.pty = Some((31, 97));
        let mut child = stage.start(command).await;
        let mut stdin = child.take_stdin().expect("stdin");
        let mut stdout = child.take_stdout().expect("stdout");
        let mut seen = read_until(&mut stdout, "31 97").await;
        child.resize(11, 22).expect("resized");
        stdin.write_all(b"word\n").await.expect("written");
        seen += &read_until(&mut stdout, "ready").await;
        child.signal(steward_sandbox::Signal::Interrupt).expect("signalled");
        seen += &read_until(&mut stdout, "caught").await;
        for part in ["terminal", "11 22", "got word", "controls"] {
            assert!(seen.contains(part), "{backend}: {part} is missing in {seen}");
        }
        assert!(!seen.contains("not a tty"), "{backend}: {seen}");
        assert_eq!(within(child.wait()).await.expect("ends").code, 5, "{backend}");
    }
}

#[tokio::test]
async fn a_signal_reaches_a_command_without_a_terminal() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let mut child = stage
            .start(stage.shell("trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done"))
            .await;
        let mut stdout = child.take_stdout().expect("stdout");
        read_until(&mut stdout, "ready").await;
        child.signal(steward_sandbox::Signal::Terminate).expect("signalled");
        read_until(&mut stdout, "caught").await;
        assert_eq!(within(child.wait()).await.expect("ends").code, 5, "{backend}");
    }
}

async fn read_until(stdout: &mut steward_sandbox::Output, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains(text) {
        let count = within(stdout.read(&mut buffer)).await.expect("read");
        assert!(count > 0, "the output ended without {text:?}: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    seen
}

#[tokio::test]
async fn what_cannot_run_is_told_before_it_runs() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let missing = stage.sandbox.spawn(Command::new(stage.path(), ["no-such-program"])).await;
        assert!(matches!(missing, Err(SandboxError::NotFound { .. })), "{backend}: {missing:?}");
        let mut command = stage.shell("true");
        command.env = vec![("LD_PRELOAD".into(), "x".into())];
        assert!(
            matches!(stage.sandbox.spawn(command).await, Err(SandboxError::Invalid { .. })),
            "{backend}"
        );
        let nothing = Command::new(stage.path(), Vec::<String>::new());
        assert!(
            matches!(stage.sandbox.spawn(nothing).await, Err(SandboxError::Invalid { .. })),
            "{backend}"
        );
    }
}

#[tokio::test]
async fn mounts_are_seen_at_their_own_path_with_their_own_access() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let other = tempfile::tempdir().expect("a folder");
        std::fs::write(other.path().join("file"), "content").expect("written");
        // Landlock has no mount namespace, so the path itself must be open to the sandbox's user.
        std::fs::set_permissions(other.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        let path = other.path().display();
        let mut command = stage.shell(&format!("cat {path}/file; echo x > {path}/new || echo refused"));
        command.mounts = vec![Mount {
            path: other.path().to_owned(),
            access: Access::ReadOnly,
        }];
        let (output, _) = stage.finish(command).await;
        assert!(
            output.starts_with("content") && output.trim_end().ends_with("refused"),
            "{backend}: {output}"
        );
        assert!(!other.path().join("new").exists(), "{backend}");
    }
}

#[tokio::test]
async fn a_workspace_can_be_read_only() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        std::fs::set_permissions(stage.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        std::fs::create_dir_all(stage.path().join("repository/.git/objects")).expect("made");
        std::fs::write(stage.path().join("repository/.git/HEAD"), "ref: refs/heads/main\n").expect("written");
        let mut command = stage.shell("echo x > new; echo x > repository/.git/new; echo x > repository/.git/HEAD; echo done");
        command.workspace_access = Access::ReadOnly;
        let (output, _) = stage.finish(command).await;
        assert!(output.ends_with("done\n"), "{backend}: {output}");
        assert!(!stage.path().join("new").exists(), "{backend}");
        assert!(
            !stage.path().join("repository/.git/new").exists(),
            "{backend}: a git folder is part of the workspace"
        );
        assert_eq!(
            std::fs::read(stage.path().join("repository/.git/HEAD")).expect("read"),
            b"ref: refs/heads/main\n"
        );
    }
}

#[tokio::test]
async fn the_bare_host_is_used_only_when_somebody_insists() {
    let refused = Sandbox::probe(Config {
        backend: Backend::None,
        ..Config::default()
    })
    .await;
    assert_eq!(refused.backend(), None);
    let folder = tempfile::tempdir().expect("a folder");
    let error = refused
        .spawn(Command::new(folder.path(), ["true"]))
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("i_know"), "{error}");
    let bare = Sandbox::probe(Config {
        backend: Backend::None,
        i_know: true,
        ..Config::default()
    })
    .await;
    assert_eq!(bare.backend(), Some(Backend::None), "{}", bare.why());
}

#[tokio::test]
async fn the_strongest_backend_is_chosen_and_it_says_why() {
    let sandbox = Sandbox::probe(Config::default()).await;
    assert_eq!(
        sandbox.backend(),
        Some(Backend::Bubblewrap),
        "apt-get install bubblewrap: {}",
        sandbox.why()
    );
    assert!(!sandbox.why().is_empty());
}

#[tokio::test]
async fn ordinary_tools_run() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let (output, exit) = stage
            .run("python3 -c 'import json,os; print(json.dumps(sorted(os.listdir(\".\"))))'; date >/dev/null; ls -la >/dev/null")
            .await;
        assert_eq!((output.as_str(), exit.code), ("[]\n", 0), "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_run_at_once() {
    let stage = Arc::new(stage(Backend::Bubblewrap).await);
    let runs: Vec<_> = (0..40)
        .map(|number| {
            let stage = stage.clone();
            tokio::spawn(async move { stage.run(&format!("echo {number}; exit {number}")).await })
        })
        .collect();
    for (number, run) in runs.into_iter().enumerate() {
        let (output, exit) = run.await.expect("it runs");
        assert_eq!((output, exit.code), (format!("{number}\n"), number as i32));
    }
}
