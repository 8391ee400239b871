use steward_domain::message::Part;

use super::Command;

fn check(text: &str, wanted: Option<Command>) {
    assert_eq!(Command::of(&[Part::text(text)]), wanted, "{text}");
}

#[test]
fn a_command_is_the_first_word_and_its_argument() {
    check("/stop", Some(Command::Stop));
    check("  /model openai/gpt-5 ", Some(Command::Model("openai/gpt-5".into())));
    check("/approve apr_1", Some(Command::Approve("apr_1".into())));
}

#[test]
fn other_text_is_no_command() {
    for text in ["stop", "/unknown", "say /stop", "/stopping", ""] {
        check(text, None);
    }
}
