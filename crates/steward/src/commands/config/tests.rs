use serde_json::json;

use super::set_in_text;

#[test]
fn a_value_is_set_and_the_rest_stays_as_it_was_written() {
    let text = "# mine\n[server]\nbind = \"127.0.0.1:1\" # here\n";
    let changed = set_in_text(text, "agents.main.route", &json!("local/smollm2-135m")).unwrap();
    assert!(
        changed.starts_with("# mine\n[server]\nbind = \"127.0.0.1:1\" # here\n"),
        "{changed}"
    );
    assert!(changed.contains("[agents.main]\nroute = \"local/smollm2-135m\""), "{changed}");
}

#[test]
fn a_table_is_set_too() {
    let changed = set_in_text("", "agents.main.limits", &json!({"steps": 3})).unwrap();
    assert!(changed.contains("steps = 3"), "{changed}");
}
