use super::super::parse::{Operation, parse};
use super::*;

fn hunks(body: &str) -> Vec<Hunk> {
    let files = parse(&format!("*** Begin Patch\n*** Update File: x\n{body}\n*** End Patch")).expect("a patch");
    match files.into_iter().next().map(|file| file.operation) {
        Some(Operation::Update { hunks, .. }) => hunks,
        other => panic!("{other:?}"),
    }
}

fn check(before: &str, body: &str, expected: Result<&str, &str>) {
    let hunks = hunks(body);
    match (apply(before.as_bytes(), &hunks), expected) {
        (Ok(after), Ok(wanted)) => {
            assert_eq!(String::from_utf8_lossy(&after), wanted);
        }
        (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
        (result, _) => panic!("{body:?} on {before:?} gave {result:?}"),
    }
}

#[test]
fn hunks_are_found_by_their_lines() {
    check("a\nb\nc\n", "@@ -99,9 +99,9 @@\n a\n-b\n+B\n c", Ok("a\nB\nc\n"));
    check("a\nb\nc\nd\n", "@@\n-a\n+A\n@@\n c\n+x\n d", Ok("A\nb\nc\nx\nd\n"));
    check("a\nb\n", "@@\n-a\n-b", Ok(""));
    check("a\n", "@@\n a\n+b", Ok("a\nb\n"));
    check("a\n", "@@\n+b", Ok("a\nb\n"));
    check("", "@@\n+b", Ok("b\n"));
}

#[test]
fn lines_that_occur_twice_need_a_number_or_an_anchor() {
    let twice = "f\n x\nend\ng\n x\nend\n";
    check(twice, "@@\n- x\n+ y", Err("occur 2 times"));
    check(twice, "@@ -5,1 +5,1 @@\n- x\n+ y", Ok("f\n x\nend\ng\n y\nend\n"));
    check(twice, "@@ g\n- x\n+ y", Ok("f\n x\nend\ng\n y\nend\n"));
    check(twice, "@@\n- x\n+ y\n end\n*** End of File", Ok("f\n x\nend\ng\n y\nend\n"));
    check(twice, "@@ missing\n- x\n+ y", Err("does not occur"));
}

#[test]
fn lines_that_are_not_there_are_named() {
    check("a\n", "@@\n-b\n+c", Err("hunk 1: its lines do not occur, beginning with \"b\""));
}

#[test]
fn line_ends_and_space_at_the_end_are_kept() {
    check("a\r\nb\r\nc\r\n", "@@\n a\n-b\n+B\n c", Ok("a\r\nB\r\nc\r\n"));
    check("a  \nb\n", "@@\n a\n-b\n+B", Ok("a  \nB\n"));
    check("a\nb", "@@\n-a\n+A\n b", Ok("A\nb\n"));
    check("a\nb\nc", "@@\n-a\n+A\n b", Ok("A\nb\nc"));
}

#[test]
fn what_is_applied_is_known() {
    let patch = hunks("@@\n a\n-b\n+c");
    assert!(!is_applied(b"a\nb\n", &patch));
    assert!(is_applied(b"a\nc\n", &patch));
}
