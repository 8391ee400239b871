use super::*;

fn backend(text: &str) -> Result<Backend, serde::de::value::Error> {
    Backend::deserialize(serde::de::value::StrDeserializer::new(text))
}

#[test]
fn a_container_backend_is_refused_with_a_sentence() {
    let error = backend("docker").expect_err("docker is not built").to_string();
    assert!(error.contains("no container backend"), "{error}");
}

#[test]
fn known_backends_are_read_and_others_named() {
    assert_eq!(backend("landlock"), Ok(Backend::Landlock));
    assert!(backend("jail").expect_err("unknown").to_string().contains("\"jail\""));
}

#[test]
fn sizes_and_times_are_read_with_their_units() {
    assert_eq!(parse_bytes("2GiB"), Some(2 * GIB));
    assert_eq!(parse_bytes("100 MB"), Some(100_000_000));
    assert_eq!(parse_bytes("12"), Some(12));
    assert_eq!(parse_bytes("-1"), None);
    assert_eq!(parse_bytes("99999999999GiB"), None);
    assert_eq!(parse_duration("30m"), Some(Duration::from_secs(1800)));
    assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
    assert_eq!(parse_duration("30"), None);
}
