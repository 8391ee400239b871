use super::*;

fn hit(title: &str, url: &str, snippet: &str) -> Hit {
    Hit {
        title: title.into(),
        url: url.into(),
        snippet: snippet.into(),
    }
}

#[test]
fn searxng_answers_are_read() {
    let body = br#"{"query":"q","results":[{"title":"A\n b","url":"http://a/","content":"one","score":1},{"title":"no address"},{"url":"http://b/","content":null}]}"#;
    assert_eq!(
        searxng(body).expect("read"),
        [hit("A b", "http://a/", "one"), hit("http://b/", "http://b/", "")]
    );
    assert!(searxng(b"<html>").is_err());
}

#[test]
fn brave_answers_are_read() {
    let body = br#"{"type":"search","web":{"results":[{"title":"A","url":"http://a/","description":"a <strong>word</strong>"}]}}"#;
    assert_eq!(brave(body).expect("read"), [hit("A", "http://a/", "a word")]);
    assert_eq!(brave(br#"{"type":"search"}"#).expect("read"), []);
}
