use super::*;

fn read(text: &str) -> Result<Config, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn an_empty_table_is_the_default() {
    assert_eq!(read("{}"), Ok(Config::default()));
}

#[test]
fn a_provider_is_named_and_its_key_is_never_shown() {
    let config = read(r#"{"search":{"provider":"brave","api_key":"s3cret"}}"#).expect("read");
    assert!(matches!(&config.search, Some(Search::Brave { api_key, base_url: None }) if api_key.expose() == "s3cret"));
    let shown = format!("{config:?} {}", serde_json::to_string(&config).expect("written"));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn an_unknown_field_or_provider_is_an_error() {
    for text in [r#"{"fetch":{"chars":1}}"#, r#"{"search":{"provider":"other"}}"#, r#"{"serch":{}}"#] {
        assert!(read(text).is_err(), "{text}");
    }
}
