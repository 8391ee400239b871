use super::figures;

#[test]
fn only_marked_lines_are_figures() {
    let lines = ["running 3 tests", "figure: kills on SQLite: 200, none lost", "figure: no value"].map(str::to_owned);
    assert_eq!(figures(&lines), [("kills on SQLite".to_owned(), "200, none lost".to_owned())]);
}
