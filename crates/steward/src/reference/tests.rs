use super::text;
use crate::cli::Part;

fn check(part: Part, holds: &[&str]) {
    let page = text(part);
    for wanted in holds {
        assert!(page.contains(wanted), "{part:?} lacks {wanted:?}");
    }
}

#[test]
fn the_command_line_has_verbs_options_and_defaults() {
    check(
        Part::CommandLine,
        &[
            "### `steward approvals approve`",
            "| `--scope SCOPE` | `once` | How long it holds: once, session, always |",
            "`STEWARD_HOME`",
        ],
    );
    assert!(
        !text(Part::CommandLine).contains("steward reference"),
        "the hidden command is for those who write the docs"
    );
}

#[test]
fn the_configuration_has_keys_of_every_depth_with_defaults() {
    check(
        Part::Configuration,
        &[
            "## `[server]`",
            "| `bind` | text | `\"127.0.0.1:7717\"` | Address and port. |",
            "## `[routes.NAME.timeout]`",
            "| `between_tokens` | text | `\"1m\"` |",
            "## `[[providers.NAME.keys]]`",
            "| `turn_time` | text | `\"30m\"` |",
            "`searxng`, `brave`",
        ],
    );
}

#[test]
fn http_has_calls_with_rights_and_shapes() {
    check(
        Part::Http,
        &[
            "### `POST /api/turns/{id}/stop`",
            "Needs the right to `administer`",
            "- gives [TurnView](#turnview)",
            "- query `by`: `team`, `user`",
        ],
    );
}
