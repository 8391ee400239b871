use super::*;

fn check(effect: Effect, lines: &[&str]) {
    for line in lines {
        assert_eq!(effect_of_line(line), effect, "{line}");
    }
}

#[test]
fn commands_that_only_look_read() {
    check(
        Effect::Reads,
        &[
            "ls -la",
            "cat a.txt b.txt",
            "git status",
            "git log --oneline -5",
            "git diff HEAD",
            "grep -rn 'foo bar' src",
            "head -5 x | wc -l",
            "pwd",
            "date; echo hello",
            "ls && pwd || echo no",
            "find . -name '*.rs'",
            "sort a | uniq -c",
        ],
    );
}

#[test]
fn anything_that_is_not_plainly_a_read_writes() {
    check(
        Effect::Writes,
        &[
            "",
            "make",
            "echo x > a",
            "cat < a",
            "echo $(make)",
            "echo `make`",
            "ls; make",
            "ls | tee x",
            "FOO=1 ls",
            "git commit -m x",
            "git -c a=b status",
            "git diff --output=x",
            "git log --ext-diff",
            "find . -exec cat {} +",
            "find . -fprint x",
            "sort -o a a",
            "rg --pre x y",
            "sed -i s/a/b/ x",
            "ls &",
            "rm a.txt",
            "mv a b",
            "python3 -c 'print(1)'",
            "hostname evil",
            "cat ~/x",
            "./ls",
            "/tmp/cat x",
            "awk 1 x",
            "env",
        ],
    );
}

#[test]
fn what_cannot_be_undone_destroys() {
    check(
        Effect::Destroys,
        &[
            "rm -rf x",
            "rm -fr x",
            "rm -r x",
            "rm --recursive x",
            "rm --rec x",
            "rm *",
            "/bin/rm -rf x",
            "\\rm -rf x",
            "sudo rm -rf x",
            "ls; rm -rf x",
            "ls && rm -rf x",
            "echo $(rm -rf x)",
            "echo `rm -rf x`",
            "bash -c 'rm -rf x'",
            "sh -c \"ls; rm -rf x\"",
            "eval rm -rf x",
            "nohup rm -rf x &",
            "timeout 5 rm -rf x",
            "xargs rm -rf",
            "find . | xargs -n 1 rm -rf",
            "env A=b rm -rf x",
            "A=b rm -rf x",
            "if true; then rm -rf x; fi",
            "{ rm -rf x; }",
            "(rm -rf x)",
            "git push --force",
            "git push -f origin main",
            "git push --force-with-lease",
            "git push origin +main",
            "git push origin :main",
            "git -C a reset --hard",
            "git reset --hard HEAD~1",
            "git clean -fdx",
            "git checkout -- .",
            "git checkout .",
            "git branch -D x",
            "git stash drop",
            "dd if=/dev/zero of=x",
            "mkfs.ext4 /dev/x",
            "mkfs x",
            "shred x",
            "truncate -s 0 x",
            "find . -delete",
            "find . -exec rm {} +",
            "chmod -R 000 .",
            "rsync --delete a b",
            "'rm' -rf x",
            "r''m -rf x",
        ],
    );
}

#[test]
fn an_array_is_judged_word_by_word() {
    let words = |words: &[&str]| Words::Argv(words.iter().map(|word| (*word).to_owned()).collect());
    assert_eq!(effect_of(&words(&["ls", "a; rm -rf x"])), Effect::Reads);
    assert_eq!(effect_of(&words(&["git", "status"])), Effect::Reads);
    assert_eq!(effect_of(&words(&["rm", "-rf", "x"])), Effect::Destroys);
    assert_eq!(effect_of(&words(&["sh", "-c", "rm -rf x"])), Effect::Destroys);
    assert_eq!(effect_of(&words(&["make"])), Effect::Writes);
    assert_eq!(effect_of(&words(&[])), Effect::Writes);
}
