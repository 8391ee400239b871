use super::*;

#[test]
fn keys_have_names() {
    assert_eq!(bytes_of("up enter"), Ok(b"\x1b[A\r".to_vec()));
    assert_eq!(bytes_of("Ctrl-C"), Ok(vec![3]));
    for wrong in ["", "ctrl-", "ctrl-aa", "ctrl-1", "f13"] {
        assert!(bytes_of(wrong).is_err(), "{wrong}");
    }
}
