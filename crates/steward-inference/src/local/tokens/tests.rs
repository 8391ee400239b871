use super::TextStream;

fn check(pieces: &[&[u8]], stops: &[&str], wanted: &[&str]) {
    let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
    let mut stream = TextStream::new(&stops);
    let mut got: Vec<String> = pieces.iter().map(|piece| stream.push(piece)).collect();
    got.push(stream.finish());
    assert_eq!(got, wanted);
}

#[test]
fn a_character_is_given_out_whole() {
    check(&[b"a", b"\xe2\x82", b"\xac!"], &[], &["a", "", "\u{20ac}!", ""]);
}

#[test]
fn a_stop_text_is_cut_off_even_when_it_comes_in_pieces() {
    check(&[b"one", b" EN", b"D more"], &["END"], &["one", " ", "", ""]);
}

#[test]
fn what_only_looked_like_a_stop_text_is_given_out() {
    check(&[b"EN", b"ough"], &["END"], &["", "ENough", ""]);
}
