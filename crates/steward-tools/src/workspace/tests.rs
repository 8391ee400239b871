use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Stage {
    folder: tempfile::TempDir,
    workspace: Workspace,
}

fn stage(resolver: Resolver) -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("root");
    std::fs::create_dir(&root).expect("made");
    let workspace = Workspace::open_with(&root, |_| resolver).expect("opened");
    Stage { folder, workspace }
}

impl Stage {
    fn host(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    fn put(&self, path: &str, before: Option<&str>, after: Option<&str>) -> Result<(), FileError> {
        let path = self.workspace.locate(path)?;
        self.workspace.replace(&path, before.map(str::as_bytes), after.map(str::as_bytes))
    }
}

fn both(check: impl Fn(Stage)) {
    check(stage(Resolver::Kernel));
    check(stage(Resolver::Walk));
}

#[test]
fn paths_are_inside_or_refused() {
    let stage = stage(Resolver::Kernel);
    let host = stage.workspace.path().join("a/b").display().to_string();
    for (text, expected) in [
        ("a/b", "a/b"),
        ("./a//b/", "a/b"),
        ("a/x/../b", "a/b"),
        ("/workspace/a/b", "a/b"),
        (&host, "a/b"),
        (".", "."),
        ("/workspace", "."),
    ] {
        assert_eq!(stage.workspace.locate(text).expect(text).to_string(), expected);
    }
    for text in [
        "",
        "..",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "/",
        "~",
        "~/x",
        "/workspace/../x",
        "/workspacex",
        "a\0b",
    ] {
        assert!(stage.workspace.locate(text).is_err(), "{text:?}");
    }
    assert!(stage.workspace.locate(&"a/".repeat(5000)).is_err());
}

#[test]
fn a_file_is_made_changed_and_removed() {
    both(|stage| {
        stage.put("deep/er/file", None, Some("one")).expect("made");
        stage.put("deep/er/file", Some("one"), Some("two")).expect("changed");
        assert_eq!(std::fs::read_to_string(stage.host("deep/er/file")).expect("read"), "two");
        stage.put("deep/er/file", Some("two"), None).expect("removed");
        assert!(!stage.host("deep/er/file").exists());
        let left: Vec<_> = std::fs::read_dir(stage.host("deep/er")).expect("listed").collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

#[test]
fn a_file_that_is_not_as_expected_is_left_alone() {
    both(|stage| {
        std::fs::write(stage.host("file"), "theirs").expect("written");
        for expected in [None, Some("ours")] {
            let result = stage.put("file", expected, Some("new"));
            assert!(matches!(result, Err(FileError::Changed { .. })), "{result:?}");
        }
        assert!(matches!(
            stage.put("missing", Some("x"), Some("new")),
            Err(FileError::Changed { .. })
        ));
        assert_eq!(std::fs::read_to_string(stage.host("file")).expect("read"), "theirs");
    });
}

#[test]
fn the_mode_is_kept() {
    both(|stage| {
        std::fs::write(stage.host("script"), "a").expect("written");
        std::fs::set_permissions(stage.host("script"), std::fs::Permissions::from_mode(0o750)).expect("set");
        stage.put("script", Some("a"), Some("b")).expect("changed");
        let mode = std::fs::metadata(stage.host("script")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o750);
        std::fs::set_permissions(stage.host("script"), std::fs::Permissions::from_mode(0o444)).expect("set");
        assert!(matches!(stage.put("script", Some("b"), Some("c")), Err(FileError::ReadOnly { .. })));
    });
}

#[test]
fn nothing_is_written_through_a_symlink() {
    both(|stage| {
        std::fs::write(stage.folder.path().join("secret"), "outside").expect("written");
        std::fs::create_dir(stage.host("sub")).expect("made");
        for (target, name) in [("../secret", "file"), ("..", "folder"), ("sub", "inner"), ("nowhere", "dangling")] {
            symlink(target, stage.host(name)).expect("linked");
        }
        for path in ["file", "folder/secret", "folder/new", "inner/new", "dangling", "dangling/new"] {
            assert!(stage.put(path, None, Some("x")).is_err(), "{path}");
            assert!(stage.put(path, Some("outside"), Some("x")).is_err(), "{path}");
            assert!(stage.put(path, Some("outside"), None).is_err(), "{path}");
        }
        assert_eq!(
            std::fs::read_to_string(stage.folder.path().join("secret")).expect("read"),
            "outside"
        );
        assert!(!stage.folder.path().join("new").exists() && !stage.host("sub/new").exists() && !stage.host("nowhere").exists());
    });
}

#[test]
fn control_files_are_refused_at_any_depth() {
    let stage = stage(Resolver::Kernel);
    for path in [
        ".git/hooks/pre-commit",
        "a/.git/config",
        ".git",
        ".GIT/config",
        "x/.envrc",
        ".mcp.json",
        "home/.bashrc",
        "a/.git/hooks/x",
    ] {
        assert!(matches!(stage.put(path, None, Some("x")), Err(FileError::Control { .. })), "{path}");
    }
    for path in [".gitignore", "git/config", "envrc", "mcp.json"] {
        stage.put(path, None, Some("x")).expect(path);
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    both(|stage| {
        rustix::fs::mknodat(rustix::fs::CWD, stage.host("fifo"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("made");
        let _socket = std::os::unix::net::UnixListener::bind(stage.host("socket")).expect("bound");
        for name in ["fifo", "socket", "."] {
            let path = stage.workspace.locate(name).expect("inside");
            assert!(stage.workspace.open_file(&path).is_err(), "{name}");
            assert!(stage.workspace.read_for_change(&path).is_err(), "{name}");
            assert!(stage.put(name, None, Some("x")).is_err(), "{name}");
        }
    });
}

#[test]
fn two_writers_never_lose_a_change() {
    let stage = stage(Resolver::Kernel);
    stage.put("count", None, Some("0")).expect("made");
    let path = stage.workspace.locate("count").expect("inside");
    let add_one = |workspace: &Workspace| loop {
        let before = workspace.read_for_change(&path).expect("read").expect("there");
        let number: u32 = String::from_utf8_lossy(&before).parse().expect("a number");
        match workspace.replace(&path, Some(&before), Some((number + 1).to_string().as_bytes())) {
            Ok(()) => return,
            Err(FileError::Changed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..20).for_each(|_| add_one(&stage.workspace)));
        }
    });
    assert_eq!(std::fs::read_to_string(stage.host("count")).expect("read"), "40");
}
