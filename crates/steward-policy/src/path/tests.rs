use steward_domain::files::Place;

use super::{PathGlob, names_of};

const HOME: &str = "/people/a[1]";
const ROOT: &str = "/people/a[1]/.steward/workspaces/main";

fn check(glob: &str, place: Place, wanted: bool) {
    let path = PathGlob::new(glob, Some(HOME)).unwrap();
    let names = names_of(&place, &[ROOT.to_owned()], Some(HOME));
    assert_eq!(path.covers(&names), wanted, "{glob} on {names:?}");
    if wanted {
        assert!(path.may_match_below(&names), "{glob} on {names:?}");
    }
}

fn inside(path: &str) -> Place {
    Place::Inside { path: path.into() }
}

fn outside(path: &str) -> Place {
    Place::Outside { path: path.into() }
}

#[test]
fn every_way_to_write_a_rule_about_a_folder_covers_it_and_what_is_in_it() {
    for glob in [
        "workspace/private/**",
        "workspace/private",
        "workspace/private/",
        "workspace//./private/**",
        "./private/**",
        "private/**",
        "private",
        "/workspace/private/**",
        "~/.steward/workspaces/main/private/**",
        "/people/a[[]1]/.steward/workspaces/*/private",
        "**/private/**",
        "workspace/pri*",
    ] {
        check(glob, inside("private"), true);
        check(glob, inside("private/x"), true);
        check(glob, inside("private/deep/x"), true);
        check(glob, inside("public/x"), false);
        check(glob, inside(""), false);
        check(glob, outside("/etc/passwd"), false);
    }
}

#[test]
fn the_whole_workspace_covers_the_workspace_itself() {
    check("workspace/**", inside(""), true);
    check("workspace", inside("a/b"), true);
    check("workspace/**", outside("/people/b/x"), false);
}

#[test]
fn the_home_of_the_owner_is_found_by_both_of_its_spellings() {
    for glob in ["~/.ssh/**", "/people/a[[]1]/.ssh/**"] {
        check(glob, outside("~/.ssh/id"), true);
        check(glob, outside("/people/a[1]/.ssh/id"), true);
        check(glob, outside("/people/b/.ssh/id"), false);
        check(glob, inside(".ssh/id"), false);
    }
}

#[test]
fn names_are_compared_as_they_are() {
    check("workspace/Private/**", inside("private/x"), false);
    check("workspace/private*", inside("private-not/x"), true);
    check("workspace/private/**", inside("private-not/x"), false);
    check("workspace/**/*.pem", inside("a/b/key.pem"), true);
    check("workspace/**/*.pem", inside("key.pem"), true);
    check("workspace/*.pem", inside("a/key.pem"), false);
}

#[test]
fn an_allowance_opens_what_it_names_and_not_what_is_below() {
    let names = |path: &str| names_of(&inside(path), &[], None);
    let path = PathGlob::new("workspace/*", None).unwrap();
    assert!(path.matches(&names("a")) && !path.matches(&names("a/b")) && !path.matches(&names("")));
    let path = PathGlob::new("workspace/notes/**", None).unwrap();
    assert!(path.matches(&names("notes")) && path.matches(&names("notes/a/b")) && !path.matches(&names("notes-not")));
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    for glob in ["", "workspace/../x", "../x", "workspace/[", "~/../x"] {
        assert!(PathGlob::new(glob, Some(HOME)).is_err(), "{glob}");
    }
}

#[test]
fn only_folders_on_the_way_to_a_rule_need_looking_at() {
    let may = |glob: &str, path: &str| {
        let names = names_of(&inside(path), &[ROOT.to_owned()], None);
        PathGlob::new(glob, Some(HOME)).unwrap().may_match_below(&names)
    };
    assert!(may("workspace/a/private/**", "") && may("workspace/a/private/**", "a") && may("workspace/a/private/**", "a/private/x"));
    assert!(!may("workspace/a/private/**", "b") && !may("workspace/a/private/**", "a/b"));
    assert!(may("workspace/**/*.pem", "b/c"));
    assert!(may("~/.steward/**", "b") && !may("/etc/**", "b"));
}
