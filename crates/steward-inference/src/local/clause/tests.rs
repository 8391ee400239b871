use super::{Things, clauses, is_path, refers_back, things_in};

fn check(text: &str, wanted: &[&str]) {
    let verbs: Vec<String> = ["list", "write", "read", "tell", "search", "save"].map(str::to_owned).to_vec();
    assert_eq!(clauses(text, &verbs), wanted, "{text}");
}

#[test]
fn a_request_is_cut_where_a_new_order_begins() {
    check(
        "List the files here and write their names to inventory.md",
        &["List the files here", "write their names to inventory.md"],
    );
    check("Read a.txt, then tell me what it says.", &["Read a.txt", "tell me what it says."]);
    check("Please read a.txt. Then save it as b.txt", &["read a.txt", "save it as b.txt"]);
}

#[test]
fn a_request_is_not_cut_between_things_or_in_quotes() {
    check("In a.txt, write more", &["In a.txt, write more"]);
    check("Search for salt and pepper", &["Search for salt and pepper"]);
    check(
        "Write \"read this and list that. Write more\" to a.txt",
        &["Write \"read this and list that. Write more\" to a.txt"],
    );
    check(
        "Write this to a.txt: eggs, milk and read on",
        &["Write this to a.txt: eggs, milk and read on"],
    );
}

#[test]
fn tangible_things_are_found() {
    let things = things_in("Copy docs/plan.md's \"first line\" with `head -1` to ./out, see https://example.com/a.html.");
    let wanted = Things {
        paths: vec!["docs/plan.md".to_owned(), "./out".to_owned()],
        urls: vec!["https://example.com/a.html".to_owned()],
        quotes: vec!["first line".to_owned()],
        codes: vec!["head -1".to_owned()],
    };
    assert_eq!(things, wanted);
}

#[test]
fn words_and_numbers_are_not_paths() {
    for word in ["and/or", "3.14", "e.g", "hello", "...", "it's", "."] {
        assert!(!is_path(word), "{word}");
    }
    for word in ["a.txt", ".env", "src/main.rs", "~/x", "notes.md", "docs/", "Cargo.toml"] {
        assert!(is_path(word), "{word}");
    }
}

#[test]
fn pronouns_point_back() {
    assert!(refers_back("write their names to inventory.md"));
    assert!(refers_back("save the result"));
    assert!(!refers_back("write hello to a.txt"));
}
