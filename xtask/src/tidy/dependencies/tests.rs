use super::check;
use crate::tidy::SourceFile;

#[track_caller]
fn findings(crate_name: &str, manifest: &str) -> Vec<String> {
    let file = SourceFile {
        path: format!("crates/{crate_name}/Cargo.toml"),
        text: format!("[package]\nname = \"{crate_name}\"\n{manifest}"),
    };
    check(&[file]).expect("the manifest is TOML")
}

#[test]
fn a_neighbour_is_refused() {
    let found = findings(
        "steward-policy",
        "[dependencies]\nsteward-domain.workspace = true\nsteward-store.workspace = true\n",
    );
    assert_eq!(found, ["steward-policy must not depend on steward-store"]);
}

#[test]
fn tests_may_use_the_testkit_and_no_neighbour() {
    let found = findings(
        "steward-agent",
        "[dev-dependencies]\nsteward-testkit.workspace = true\nsteward-store.workspace = true\n",
    );
    assert_eq!(found, ["the tests of steward-agent must not depend on steward-store"]);
}

#[test]
fn a_dependency_for_one_target_counts() {
    let found = findings("steward-domain", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n");
    assert_eq!(found, ["steward-domain must not depend on tokio"]);
}

#[test]
fn the_binary_may_use_all_of_ours_but_no_database() {
    let found = findings(
        "steward",
        "[dependencies]\nsteward-store.workspace = true\nrusqlite.workspace = true\n",
    );
    assert_eq!(found, ["steward must not depend on rusqlite: only steward-store may"]);
}

#[test]
fn a_crate_that_is_not_in_the_table_is_refused() {
    assert_eq!(findings("steward-extras", "").len(), 1);
}
