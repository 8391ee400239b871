use super::*;

fn check(text: &str, lengths: &[usize]) {
    let found: Vec<usize> = rows(text.as_bytes()).map(<[u8]>::len).collect();
    assert_eq!(found, lengths);
    assert_eq!(rows(text.as_bytes()).collect::<Vec<_>>().concat(), text.as_bytes());
}

#[test]
fn a_row_is_a_line() {
    check("", &[]);
    check("one\n\nthree", &[4, 1, 5]);
    check(&format!("{}\nnext\n", "x".repeat(ROW_BYTES)), &[ROW_BYTES + 1, 5]);
}

#[test]
fn a_long_line_has_several_rows_cut_between_characters() {
    check(&"x".repeat(ROW_BYTES * 2 + 1), &[ROW_BYTES, ROW_BYTES, 1]);
    check(&format!("x{}", "ä".repeat(ROW_BYTES / 2)), &[ROW_BYTES - 1, 2]);
}

#[test]
fn pieces_that_end_with_whole_rows_have_the_same_rows() {
    let text = format!("a\n{}b\n{}", "ü".repeat(5000), "z".repeat(10));
    let end = whole_rows(text.as_bytes());
    let (first, second) = text.as_bytes().split_at(end);
    assert_eq!(second, "z".repeat(10).as_bytes());
    let apart: Vec<&[u8]> = rows(first).chain(rows(second)).collect();
    assert_eq!(apart, rows(text.as_bytes()).collect::<Vec<_>>());
}
