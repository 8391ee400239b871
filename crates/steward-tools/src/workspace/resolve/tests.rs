use std::os::unix::fs::symlink;

use super::*;

fn root() -> (tempfile::TempDir, OwnedFd) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("root/sub")).expect("made");
    std::fs::write(folder.path().join("root/sub/file"), "inside").expect("written");
    std::fs::write(folder.path().join("secret"), "outside").expect("written");
    symlink("sub", folder.path().join("root/inner")).expect("linked");
    symlink("../secret", folder.path().join("root/up")).expect("linked");
    symlink("/etc/passwd", folder.path().join("root/absolute")).expect("linked");
    symlink("..", folder.path().join("root/parent")).expect("linked");
    let root = rustix::fs::open(folder.path().join("root"), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("opened");
    (folder, root)
}

#[test]
fn nothing_outside_is_opened_by_either_way() {
    let (_folder, root) = root();
    for resolver in [Resolver::Kernel, Resolver::Walk] {
        for links in [Links::Inside, Links::Never] {
            for path in ["up", "absolute", "parent/secret", "../secret", "/etc/passwd", "sub/../../secret"] {
                // The walk relies on the text having been checked for `..` and `/` at the start.
                let is_checked_before = resolver == Resolver::Walk && (path.starts_with('/') || path.contains(".."));
                let result = resolver.open(root.as_fd(), Path::new(path), OFlags::RDONLY, links);
                assert!(is_checked_before || result.is_err(), "{resolver:?} {links:?} opened {path}");
            }
        }
    }
}

#[test]
fn what_is_inside_is_opened_by_either_way() {
    let (_folder, root) = root();
    for resolver in [Resolver::Kernel, Resolver::Walk] {
        for path in ["", ".", "sub", "sub/file"] {
            assert!(
                resolver.open(root.as_fd(), Path::new(path), OFlags::RDONLY, Links::Never).is_ok(),
                "{resolver:?} {path}"
            );
        }
        assert!(
            resolver
                .open(root.as_fd(), Path::new("inner/file"), OFlags::RDONLY, Links::Never)
                .is_err(),
            "{resolver:?}"
        );
    }
    assert!(
        Resolver::Kernel
            .open(root.as_fd(), Path::new("inner/file"), OFlags::RDONLY, Links::Inside)
            .is_ok()
    );
}
