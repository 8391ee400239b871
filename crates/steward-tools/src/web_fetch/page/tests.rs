use super::*;

fn fetched(content_type: &str, body: impl Into<Vec<u8>>) -> Fetched {
    Fetched {
        final_url: "https://example.test/page".parse().expect("an address"),
        status: 200,
        content_type: content_type.into(),
        body: body.into().into(),
        is_cut: false,
    }
}

fn text(content_type: &str, body: impl Into<Vec<u8>>) -> String {
    text_of(&fetched(content_type, body)).expect("text")
}

#[test]
fn a_page_becomes_markdown_without_what_is_around_it() {
    let paragraph = "The river carries the boats of the town down to the sea, and every evening they come back. ".repeat(8);
    let html = format!(
        "<html><head><title>Boats</title><style>p {{ color: red }}</style></head><body><nav><a href='/x'>Menu</a></nav>\
         <article><h1>Boats</h1><p>{paragraph}</p><p>See <a href='/more'>more</a>. {paragraph}</p></article><script>alert(1)</script></body></html>"
    );
    let text = text("text/html; charset=utf-8", html);
    assert!(text.starts_with("https://example.test/page\n\n# Boats"), "{text}");
    assert!(
        text.contains("down to the sea") && text.contains("[more](https://example.test/more)"),
        "{text}"
    );
    assert!(!text.contains("alert") && !text.contains("color"), "{text}");
}

#[test]
fn a_page_that_is_no_article_still_has_its_text() {
    let text = text("text/html", "<ul><li>one</li><li>two</li></ul>");
    assert!(text.contains("one") && text.contains("two"), "{text}");
}

#[test]
fn json_is_shown_in_lines_and_other_text_as_it_is() {
    assert!(text("application/json", "{\"b\":1,\"a\":[2]}").contains("{\n  \"b\": 1,\n  \"a\": [\n    2\n  ]\n}"));
    assert!(text("application/json", "{broken").contains("{broken"));
    assert!(text("text/plain", "a < b\n").ends_with("a < b"));
}

#[test]
fn what_is_not_text_is_refused_with_its_kind() {
    for (kind, body) in [
        ("application/pdf", b"%PDF-1.7".as_slice()),
        ("image/png", b"\x89PNG"),
        ("text/html", b"a\0b"),
        ("", b"\0\0"),
    ] {
        let reason = text_of(&fetched(kind, body)).expect_err("refused");
        assert!(reason.contains("does not read"), "{reason}");
    }
}

#[test]
fn the_charset_is_minded() {
    assert!(text("text/plain; charset=ISO-8859-1", b"caf\xe9".as_slice()).ends_with("café"));
    assert!(text("text/html", b"<meta charset='windows-1252'><p>caf\xe9</p>".as_slice()).contains("café"));
    assert!(text("text/plain", "café").ends_with("café"));
}

#[test]
fn hostile_nesting_ends_in_plain_text() {
    for html in [
        "<div>".repeat(300_000),
        "<b x>".repeat(300_000),
        "<div></x>".repeat(200_000),
        "<font a><p>x".repeat(100_000),
    ] {
        assert!(is_strange(&html));
        let began = std::time::Instant::now();
        let text = text("text/html", format!("{html}the end"));
        assert!(text.ends_with("the end"), "{}", &text[text.len().saturating_sub(50)..]);
        assert!(began.elapsed().as_secs() < 5, "took {:?}", began.elapsed());
    }
}

#[test]
fn an_ordinary_page_is_not_strange() {
    assert!(!is_strange(&"<p>one<li>two<td>three<br><img>".repeat(50)));
    assert!(!is_strange(&"<div><b>x</b></div>".repeat(10_000)));
    assert!(!is_strange("<script>'<div>'.repeat(9)</script><!-- <div> --> a < b"));
}
