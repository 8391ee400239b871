use super::names;

#[track_caller]
fn check(listing: &str, wanted: &[&str]) {
    assert_eq!(names(listing), wanted);
}

#[test]
fn names_stand_alone_on_a_line() {
    check("a.txt\nsub/\n", &["a.txt", "sub/"]);
}

#[test]
fn sizes_behind_a_name_are_left_out() {
    check("a b.txt 12\nsub/\n", &["a b.txt", "sub/"]);
    check("a b.txt\t12\nc.md  3 kB\nd.md (1 byte)\n", &["a b.txt", "c.md", "d.md"]);
}

#[test]
fn headings_and_fences_are_no_names() {
    check("3 files:\n<outside>\n- a.txt\n</outside>\n", &["a.txt"]);
}

#[test]
fn a_json_list_is_read() {
    check(r#"["a", {"name": "b"}]"#, &["a", "b"]);
}
