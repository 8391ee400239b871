use super::{prepare, read};

#[test]
fn a_fresh_workspace_gets_its_first_files_and_an_existing_one_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().join("main");
    prepare(&workspace).unwrap();
    std::fs::write(workspace.join("SOUL.md"), "mine").unwrap();
    std::fs::remove_file(workspace.join("USER.md")).unwrap();
    prepare(&workspace).unwrap();
    assert_eq!(std::fs::read_to_string(workspace.join("SOUL.md")).unwrap(), "mine");
    assert!(!workspace.join("USER.md").exists());
}

#[test]
fn a_file_that_is_not_utf_8_huge_or_no_file_is_said_and_the_rest_works() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("SOUL.md"), [0xff, 0xfe, 0x00]).unwrap();
    std::fs::write(dir.path().join("AGENTS.md"), "ä".repeat(200_000)).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("USER.md")).unwrap();
    std::fs::write(dir.path().join("TOOLS.md"), "tools").unwrap();
    let files = read(dir.path());
    let trouble = |name: &str| {
        files
            .iter()
            .find(|file| file.name == name)
            .unwrap()
            .trouble
            .clone()
            .unwrap_or_default()
    };
    assert!(trouble("SOUL.md").contains("UTF-8"));
    assert!(trouble("AGENTS.md").contains("400000 bytes"));
    assert!(trouble("USER.md").contains("no ordinary file"));
    assert_eq!(files.iter().find(|file| file.name == "TOOLS.md").unwrap().text, "tools");
}
