use steward_domain::limits::TurnLimits;

use super::{WorkspaceFile, prefix};

fn file(name: &str, text: &str) -> WorkspaceFile {
    WorkspaceFile {
        name: name.into(),
        text: text.into(),
        trouble: None,
    }
}

fn check(files: &[WorkspaceFile], holds: &[&str]) {
    let built = prefix(files, &[], &TurnLimits::default());
    let text = built.system.joined_text();
    for wanted in holds {
        assert!(text.contains(wanted), "{wanted:?} is missing");
    }
}

#[test]
fn a_long_file_is_cut_at_its_cap_and_the_cut_is_said() {
    check(
        &[file("USER.md", &"ä".repeat(20_005))],
        &["# USER.md", "[5 characters of USER.md are cut here"],
    );
}

#[test]
fn all_files_together_stay_within_their_cap() {
    let files: Vec<WorkspaceFile> = (0..5).map(|n| file(&format!("F{n}.md"), &"x".repeat(20_000))).collect();
    let built = prefix(&files, &[], &TurnLimits::default());
    assert!(built.system.joined_text().len() < 62_000);
    check(&files, &["20000 characters of F4.md are cut"]);
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_the_rest_works() {
    let broken = WorkspaceFile {
        name: "SOUL.md".into(),
        text: String::new(),
        trouble: Some("is not UTF-8".into()),
    };
    check(&[broken, file("USER.md", "Ana")], &["[SOUL.md: is not UTF-8]", "# USER.md\nAna"]);
}

#[test]
fn the_front_is_the_same_bytes_each_time() {
    let files = [file("SOUL.md", "kind")];
    let limits = TurnLimits::default();
    assert_eq!(prefix(&files, &[], &limits).system, prefix(&files, &[], &limits).system);
}
