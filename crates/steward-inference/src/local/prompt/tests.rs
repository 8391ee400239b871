use super::{condense, shorten};

#[test]
fn rules_are_cut_at_the_end_of_a_sentence() {
    assert_eq!(condense("One rule. Another rule. A third one.", 26), "One rule. Another rule.");
    assert_eq!(condense("Short.", 26), "Short.");
}

#[test]
fn a_cut_text_says_so() {
    assert_eq!(shorten("abcdef", 3), "abc \u{2026}");
    assert_eq!(shorten("abc", 3), "abc");
}
