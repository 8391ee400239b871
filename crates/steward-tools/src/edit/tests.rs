use super::*;

fn check(before: &str, old: &str, new: &str, expected: Result<&str, &str>) {
    let result = replace_once(before.as_bytes(), old, new);
    match (result, expected) {
        (Ok((_, after)), Ok(wanted)) => assert_eq!(String::from_utf8_lossy(&after), wanted),
        (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason:?} does not say {part:?}"),
        (result, _) => panic!("{old:?} in {before:?} gave {result:?}"),
    }
}

#[test]
fn a_text_that_occurs_once_is_replaced() {
    check("one two three", "two", "2", Ok("one 2 three"));
    check("one two three", " two", "", Ok("one three"));
}

#[test]
fn a_text_that_occurs_more_often_is_refused_with_the_count() {
    check("a b a", "a", "c", Err("occurs 2 times"));
    check("aaa", "aa", "c", Err("occurs 2 times"));
}

#[test]
fn a_text_that_does_not_occur_gets_the_nearest_lines() {
    check(
        "fn main() {\n    print(1);\n}\n",
        "fn main() {\n  print(1);\n}",
        "x",
        Err("lines 1-3 differ only in white space"),
    );
    check(
        "alpha\nthe quick brown fox\n",
        "the quick brwn fox",
        "x",
        Err("nearest is at line 2"),
    );
    check("alpha\n", "something else entirely", "x", Err("does not occur"));
}

#[test]
fn line_ends_of_the_file_are_kept() {
    check("a\r\nb\r\nc\r\n", "a\nb", "x\ny", Ok("x\r\ny\r\nc\r\n"));
    check("a\nb\n", "a\nb", "x\ny", Ok("x\ny\n"));
}

#[test]
fn what_was_done_before_a_crash_is_seen() {
    for (now, old, new, is_done) in [
        ("x\ny\n", "x", "x\ny", true),
        ("x\n", "x", "x\ny", false),
        ("b", "a", "b", true),
        ("a", "a", "b", false),
        ("", "a", "", true),
        ("a b", "a", "b", false),
    ] {
        assert_eq!(looks_done(now.as_bytes(), old, new), is_done, "{old:?} to {new:?} in {now:?}");
    }
}
