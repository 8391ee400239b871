use super::counts;

#[track_caller]
fn check(line: &str, wanted: (u64, u64)) {
    assert_eq!(counts(line), wanted, "{line}");
}

#[test]
fn the_closing_line_of_each_runner_is_counted() {
    check(
        "     Summary [  12.3s] 45 tests run: 44 passed (1 slow), 1 failed, 2 skipped",
        (44, 1),
    );
    check(
        "test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
        (7, 2),
    );
    check("      Tests  1 failed | 11 passed (12)", (11, 1));
    check("24 passed, 0 failed", (24, 0));
}

#[test]
fn other_lines_count_nothing() {
    check("PASS openai chat: stream", (0, 0));
    check(" Test Files  3 passed (3)", (0, 0));
    check("the gate says: passed, 3 failed before", (0, 0));
}
