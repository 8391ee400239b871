use super::*;

fn captured(pieces: &[&[u8]]) -> Capture {
    let mut capture = Capture::default();
    for piece in pieces {
        capture.push(piece);
    }
    capture
}

#[test]
fn short_output_is_whole() {
    assert_eq!(captured(&[b"one\n", b"two\n"]).text(), "one\ntwo\n");
    assert_eq!(captured(&[]).text(), "");
}

#[test]
fn a_character_in_two_pieces_is_one_character() {
    let bytes = "ä".as_bytes();
    assert_eq!(captured(&[&bytes[..1], &bytes[1..]]).text(), "ä");
}

#[test]
fn long_output_keeps_its_beginning_and_its_end() {
    let middle = "x".repeat(3_000_000);
    let text = captured(&[b"begin ", middle.as_bytes(), b" end"]).text();
    assert!(text.starts_with("begin x") && text.ends_with("x end"), "{}", &text[..50]);
    assert!(text.contains("of 3000010 bytes cut"));
    assert!(text.chars().count() < SHOWN_CHARS + 100);
}

#[test]
fn memory_stays_bounded() {
    let mut capture = Capture::default();
    for _ in 0..100 {
        capture.push(&[b'x'; 100_000]);
    }
    assert_eq!(
        (capture.head.len(), capture.tail.len(), capture.total),
        (KEPT_BYTES, KEPT_BYTES, 10_000_000)
    );
}
