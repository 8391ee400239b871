//! Files of the workspace that a command must not see or change.

use std::fs;
use std::path::PathBuf;

use steward_sandbox::{Access, Backend, SandboxError};

use crate::stage::{Stage, stage};

fn prepare(stage: &Stage) {
    for (name, content) in [
        ("a/private/deep/x", "secret"),
        ("a/key.pem", "secret"),
        ("a/open", "open"),
        ("docs/d", "kept"),
    ] {
        let path = stage.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, content).expect("written");
    }
    std::os::unix::fs::symlink("a/private/deep/x", stage.path().join("link")).expect("linked");
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[tokio::test]
async fn what_is_hidden_cannot_be_read_listed_moved_or_replaced() {
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let stage = stage(Backend::Bubblewrap).await;
        prepare(&stage);
        let attacks = "cat a/open; cat a/private/deep/x a/key.pem link; ls a/private; chmod 777 a/private a/key.pem; cat a/key.pem; ls a/private; \
                       mv a b; cat b/key.pem; mv a/private p; ls p; rm -rf a/private a/key.pem; echo evil > a/key.pem; ln a/key.pem h; cat h; true";
        let mut command = stage.shell(attacks);
        command.workspace_access = access;
        command.hidden = paths(&["a/private", "a/key.pem", "a/gone"]);
        let (output, _) = stage.finish(command).await;
        assert!(output.starts_with("open"), "{output}");
        assert!(!output.contains("secret") && !output.contains("deep\n"), "{output}");
        for name in ["a/private/deep/x", "a/key.pem"] {
            assert_eq!(fs::read_to_string(stage.path().join(name)).expect(name), "secret", "{output}");
        }
    }
}

#[tokio::test]
async fn what_is_read_only_can_be_read_and_not_changed_or_moved() {
    let stage = stage(Backend::Bubblewrap).await;
    prepare(&stage);
    stage.run("git init -q docs/repo").await;
    let attacks = "cat docs/d a/open; echo evil > docs/d; rm -rf docs/d; mv docs other; echo evil > docs/new; echo evil > docs/repo/.git/HEAD; \
                   echo evil > a/open; mv a b; echo fine > a/new; true";
    let mut command = stage.shell(attacks);
    command.read_only = paths(&["docs", "a/open"]);
    let (output, _) = stage.finish(command).await;
    assert!(output.starts_with("keptopen"), "{output}");
    for (name, content) in [("docs/d", "kept"), ("a/open", "open"), ("a/new", "fine\n")] {
        assert_eq!(fs::read_to_string(stage.path().join(name)).expect(name), content, "{output}");
    }
    assert!(!stage.path().join("docs/new").exists());
    assert!(
        !fs::read_to_string(stage.path().join("docs/repo/.git/HEAD"))
            .expect("it")
            .contains("evil")
    );
}

#[tokio::test]
async fn git_stays_guarded_beside_what_is_hidden() {
    let stage = stage(Backend::Bubblewrap).await;
    prepare(&stage);
    stage
        .run("git init -q a/repo && mkdir a/private/r && git init -q a/private/r && echo x > a/repo/secret")
        .await;
    let attacks = "echo evil > a/repo/.git/config; echo evil > a/repo/.git/hooks/pre-commit; mv a/repo/.git a/repo/g; cat a/repo/secret; \
                   echo fine > a/repo/f; git -C a/repo add f && git -C a/repo -c user.name=a -c user.email=a@b commit -qm first && echo done";
    let mut command = stage.shell(attacks);
    command.hidden = paths(&["a/private", "a/repo/secret"]);
    let (output, exit) = stage.finish(command).await;
    assert!(output.ends_with("done\n") && !output.contains("x\n"), "{output}");
    assert!(exit.removed.is_empty(), "{:?}", exit.removed);
    assert!(
        !fs::read_to_string(stage.path().join("a/repo/.git/config"))
            .expect("it")
            .contains("evil")
    );
}

#[tokio::test]
async fn what_cannot_be_hidden_is_not_run() {
    let stage = stage(Backend::Landlock).await;
    prepare(&stage);
    let mut command = stage.shell("true");
    command.hidden = paths(&["a/private"]);
    let refused = stage.sandbox.spawn(command.clone()).await.expect_err("it is refused");
    assert!(matches!(refused, SandboxError::CannotHide { .. }), "{refused}");
    command.hidden.clear();
    command.read_only = paths(&["docs"]);
    assert!(stage.sandbox.spawn(command.clone()).await.is_err());
    command.workspace_access = Access::ReadOnly;
    assert!(stage.sandbox.spawn(command).await.is_ok());
}

#[tokio::test]
async fn more_places_than_can_be_closed_are_an_error() {
    let stage = stage(Backend::Bubblewrap).await;
    let mut command = stage.shell("true");
    for number in 0..300 {
        fs::write(stage.path().join(format!("{number}.pem")), "secret").expect("written");
        command.hidden.push(PathBuf::from(format!("{number}.pem")));
    }
    assert!(stage.sandbox.spawn(command).await.is_err());
}
