use super::*;

fn check(text: &str, kept: &str) {
    let (lines, is_same) = harmless_lines(text);
    assert_eq!(lines, kept);
    assert_eq!(is_same, text == kept);
}

#[test]
fn what_git_init_writes_is_kept() {
    let text = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n";
    check(text, text);
}

#[test]
fn settings_that_run_programs_are_taken_out() {
    for bad in [
        "[core]\n\tfsmonitor = ./x\n",
        "[core]\n\tsshCommand = ./x\n",
        "[core]\n\thooksPath = .\n",
        "[core]\n\tpager = ./x\n",
    ] {
        check(bad, "[core]\n");
    }
    for bad in [
        "[alias]\n\tst = !sh\n",
        "[include]\n\tpath = ../x\n",
        "[filter \"x\"]\n\tclean = sh\n",
        "[credential]\n\thelper = !sh\n",
    ] {
        check(bad, "");
    }
}

#[test]
fn a_remote_that_runs_a_helper_is_taken_out() {
    check("[remote \"o\"]\n\turl = ext::sh -c x\n", "[remote \"o\"]\n");
    check(
        "[remote \"o\"]\n\turl = https://host/x.git\n",
        "[remote \"o\"]\n\turl = https://host/x.git\n",
    );
}

#[test]
fn a_setting_on_the_line_of_its_section_is_taken_out() {
    check("[core] fsmonitor = ./x\n", "");
}
