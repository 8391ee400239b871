use std::path::Path;

use super::Configuration;

fn check(text: &str, holds: &[&str]) {
    let error = Configuration::parse(text, Path::new("steward.toml")).unwrap_err().to_string();
    for wanted in holds {
        assert!(error.contains(wanted), "{error:?} lacks {wanted:?}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_right_name() {
    check(
        "[server]\nbindd = \"127.0.0.1:1\"\n",
        &["line 2, column 1", "bindd", "did you mean `bind`?"],
    );
    check("[agent.main]\nroute = \"x\"\n", &["line 1", "did you mean `agents`?"]);
    check(
        "[routes.default]\nstrategy = \"priority\"\ntargest = []\n",
        &["line 3", "did you mean `targets`?"],
    );
}

#[test]
fn a_wrong_type_is_named_with_its_place() {
    check("[server]\nbind = 7\n", &["line 2, column 8", "string"]);
    check(
        "[agents.main]\nlimits = { steps = \"many\" }\n",
        &["line 2, column 20", "invalid type"],
    );
}

#[test]
fn a_limit_or_key_that_makes_no_sense_is_a_sentence() {
    check(
        "[agents.main]\nlimits = { turn_time = \"soon\" }\n",
        &["agents.main.limits.turn_time", "30m"],
    );
    check(
        "[providers.openai]\napi_key = \"${STEWARD_TEST_UNSET}\"\n",
        &["providers.openai", "STEWARD_TEST_UNSET is not set"],
    );
}

#[test]
fn an_empty_file_has_the_agent_main() {
    let configuration = Configuration::parse("", Path::new("steward.toml")).unwrap();
    assert!(configuration.agents.contains_key("main"));
    assert_eq!(configuration.server.bind, "127.0.0.1:7717");
}
