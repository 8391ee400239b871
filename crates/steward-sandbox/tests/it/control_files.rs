//! Files that make other programs run something cannot be planted.

use std::fs;

use steward_sandbox::Backend;

use crate::stage::{BACKENDS, stage};

#[tokio::test]
async fn git_works_and_its_hooks_and_dangerous_settings_do_not_stay() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let script = "git init -q . && git config core.fsmonitor ./evil; echo '#!/bin/sh' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; \
                      echo x > f && git add f && git -c user.name=a -c user.email=a@b commit -qm first --no-verify && git log --oneline | wc -l";
        let (output, exit) = stage.run(script).await;
        assert!(output.trim_end().ends_with('1'), "{backend}: {output}");
        assert!(!stage.path().join(".git/hooks/pre-commit").exists(), "{backend}");
        let config = fs::read_to_string(stage.path().join(".git/config")).expect("the configuration");
        assert!(
            !config.contains("fsmonitor") && config.contains("repositoryformatversion"),
            "{backend}: {config}"
        );
        assert_eq!(exit.removed.len(), 2, "{backend}: {:?}", exit.removed);
        let (output, exit) = stage
            .run(
                "echo y >> f && git -c user.name=a -c user.email=a@b commit -qam second && git status --short && git log --oneline | wc -l",
            )
            .await;
        assert!(output.trim_end().ends_with('2'), "{backend}: {output}");
        assert!(exit.removed.is_empty(), "{backend}: {:?}", exit.removed);
    }
}

#[tokio::test]
async fn existing_control_files_cannot_be_changed() {
    let stage = stage(Backend::Bubblewrap).await;
    stage.run("git init -q . && mkdir -p deep/er && git init -q deep/er/repo").await;
    for (name, content) in [(".envrc", "safe"), ("deep/.mcp.json", "safe"), (".bashrc", "safe")] {
        fs::write(stage.path().join(name), content).expect("written");
    }
    let attacks = "for f in .envrc deep/.mcp.json .bashrc .git/config deep/er/repo/.git/config; do echo evil > $f; rm -f $f; mv -f $f x; ln -sf /etc/passwd $f; done; \
                   mv .git other; rm -rf .git; echo evil > .git/hooks/post-checkout; echo evil > deep/er/repo/.git/hooks/post-checkout; true";
    let (output, exit) = stage.run(attacks).await;
    for name in [".envrc", "deep/.mcp.json", ".bashrc"] {
        assert_eq!(fs::read_to_string(stage.path().join(name)).expect(name), "safe", "{output}");
    }
    for name in [".git/config", "deep/er/repo/.git/config"] {
        assert!(!fs::read_to_string(stage.path().join(name)).expect(name).contains("evil"));
    }
    assert!(!stage.path().join(".git/hooks/post-checkout").exists());
    assert!(!stage.path().join("deep/er/repo/.git/hooks/post-checkout").exists());
    assert!(exit.removed.is_empty(), "{:?}", exit.removed);
}

#[tokio::test]
async fn new_control_files_are_made_inert_at_any_depth() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        let script = "mkdir -p a/b/c/d/e/f/g/h; for d in . a a/b a/b/c/d/e/f/g/h; do for f in .envrc .mcp.json .BASHRC .profile; do echo evil > $d/$f; done; done; \
                      mkdir x && git init -q x && mv x y; mkdir -p bare/objects bare/hooks && : > bare/HEAD && echo evil > bare/hooks/update; \
                      ln -s /tmp y/.git/hooks/pre-push; ln -s nowhere .zshrc";
        let (output, exit) = stage.run(script).await;
        assert_eq!(exit.removed.len(), 16 + 3, "{backend}: {output} {:?}", exit.removed);
        assert!(!stage.path().join("a/b/c/d/e/f/g/h/.envrc").exists(), "{backend}");
        assert!(stage.path().join("a/b/c/d/e/f/g/h/.envrc.refused").exists(), "{backend}");
        assert!(!stage.path().join("bare/hooks/update").exists(), "{backend}");
        assert!(
            fs::symlink_metadata(stage.path().join("y/.git/hooks/pre-push")).is_err(),
            "{backend}"
        );
    }
}

#[tokio::test]
async fn a_repository_moved_away_and_made_anew_has_no_hooks() {
    for backend in BACKENDS {
        let stage = stage(backend).await;
        stage.run("mkdir p && git init -q p/repo").await;
        let (output, _) = stage.run("mv p q; mkdir -p p && git init -q p/repo && echo evil > p/repo/.git/hooks/pre-commit; git -C p/repo config core.sshCommand evil").await;
        assert!(!stage.path().join("p/repo/.git/hooks/pre-commit").exists(), "{backend}: {output}");
        let config = fs::read_to_string(stage.path().join("p/repo/.git/config")).unwrap_or_default();
        assert!(!config.contains("evil"), "{backend}: {config}");
    }
}
