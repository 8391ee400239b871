use super::*;

fn update(path: &str, hunks: Vec<Hunk>) -> FilePatch {
    FilePatch {
        path: path.into(),
        operation: Operation::Update { hunks, move_to: None },
    }
}

fn hunk(line: Option<usize>, old: &[&str], new: &[&str]) -> Hunk {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Hunk {
        line,
        old: owned(old),
        new: owned(new),
        ..Hunk::default()
    }
}

#[test]
fn a_unified_diff_is_read() {
    let patch = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -3,2 +3,2 @@ fn main\n a\n-b\n+c\n--- a/y\t2026-01-01\n+++ b/y\t2026-01-01\n@@ -1 +1 @@\n--- old\n+++ new\n";
    let expected = [
        update("x", vec![hunk(Some(3), &["a", "b"], &["a", "c"])]),
        update("y", vec![hunk(Some(1), &["-- old"], &["++ new"])]),
    ];
    assert_eq!(parse(patch).expect("read"), expected);
}

#[test]
fn files_are_made_and_removed_by_a_unified_diff() {
    let patch = "--- /dev/null\n+++ b/new\n@@ -0,0 +1,2 @@\n+one\n+two\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
    let files = parse(patch).expect("read");
    assert_eq!(
        files[0],
        FilePatch {
            path: "new".into(),
            operation: Operation::Add("one\ntwo\n".into())
        }
    );
    assert_eq!(
        files[1],
        FilePatch {
            path: "old".into(),
            operation: Operation::Delete
        }
    );
    let without_end = "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+one\n\\ No newline at end of file\n";
    assert_eq!(parse(without_end).expect("read")[0].operation, Operation::Add("one".into()));
}

#[test]
fn a_rename_is_read() {
    let patch = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n";
    let operation = Operation::Update {
        hunks: Vec::new(),
        move_to: Some("y".into()),
    };
    assert_eq!(
        parse(patch).expect("read"),
        [FilePatch {
            path: "x".into(),
            operation
        }]
    );
}

#[test]
fn the_begin_patch_form_is_read() {
    let patch = "*** Begin Patch\n*** Add File: new\n+one\n*** Update File: x\n*** Move to: y\n@@ fn main\n a\n-b\n+c\n*** End of File\n*** Delete File: old\n*** End Patch\n";
    let files = parse(patch).expect("read");
    let hunk = Hunk {
        anchor: Some("fn main".into()),
        is_at_end: true,
        ..hunk(None, &["a", "b"], &["a", "c"])
    };
    let expected = [
        FilePatch {
            path: "new".into(),
            operation: Operation::Add("one\n".into()),
        },
        FilePatch {
            path: "x".into(),
            operation: Operation::Update {
                hunks: vec![hunk],
                move_to: Some("y".into()),
            },
        },
        FilePatch {
            path: "old".into(),
            operation: Operation::Delete,
        },
    ];
    assert_eq!(files, expected);
}

#[test]
fn what_is_no_patch_is_refused() {
    for patch in [
        "",
        "hello",
        "*** Begin Patch\n*** End Patch",
        "*** Begin Patch\n*** Add File: a\n+x\n",
        "*** Begin Patch\n*** Add File: a\nx\n*** End Patch",
        "*** Begin Patch\n*** Update File: a\n*** End Patch",
        "*** Begin Patch\nnonsense\n*** End Patch",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\n*nonsense\n",
        "--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n",
    ] {
        assert!(parse(patch).is_err(), "{patch:?}");
    }
}
