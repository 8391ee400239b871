use super::*;

#[test]
fn the_shipped_list_is_valid_in_order_and_tells_its_origin() {
    let shipped = Snapshot::shipped();
    let read = Snapshot::parse(shipped.text().to_owned()).unwrap();
    assert_eq!(read.origin(), shipped.origin());
    assert!(shipped.names().count() > 1_500);
    assert!(shipped.text().len() < 200_000, "{} bytes", shipped.text().len());
    let origin = shipped.origin();
    assert_eq!((origin.sha256.len(), origin.date.len(), origin.licence.as_str()), (64, 10, "MIT"));
    assert!(origin.version().starts_with("litellm-"), "{}", origin.version());
}

#[test]
fn every_line_is_found_and_nothing_else() {
    let shipped = Snapshot::shipped();
    for name in shipped.names() {
        assert!(shipped.row(name).is_some(), "{name}");
        assert!(
            shipped
                .row(&name[..name.len() - 1])
                .is_none_or(|_| shipped.names().any(|other| other == &name[..name.len() - 1]))
        );
    }
    for absent in ["", "a", "zzz/zzz", "anthropic/", "openai/gpt-4o\t"] {
        assert!(shipped.row(absent).is_none(), "{absent:?}");
    }
}

#[test]
fn every_model_of_the_list_is_of_a_shipped_provider() {
    let catalog = crate::catalog::Catalog::load(&std::collections::BTreeMap::new()).unwrap();
    for name in Snapshot::shipped().names() {
        let provider = name.split('/').next().unwrap();
        assert!(catalog.providers().contains_key(provider), "{name}");
    }
}

const HEAD: &str = "#steward-prices-1\ts\t2026-01-01\tabcdef0123\tMIT\n";

#[test]
fn what_is_no_list_is_refused() {
    let refused = |text: &str, wanted: &str| {
        let error = Snapshot::parse(text.to_owned()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused("", "first line");
    refused("{\"a\": 1}", "first line");
    refused("#steward-prices-1\ts\t2026\n", "no checksum");
    refused(&format!("{HEAD}b/x\t1\t2\na/x\t1\t2\n"), "\"a/x\" is not in its place");
    refused(&format!("{HEAD}b/x\t1\t2\nb/x\t1\t2\n"), "not in its place");
    refused(&format!("{HEAD}b/x\tdear\t2\n"), "cannot be read");
    refused(&format!("{HEAD}b/x\t1\n"), "needs output_usd_per_mtok");
    refused(&format!("{HEAD}b/x\t-1\t2\n"), "below zero");
    refused(&format!("{HEAD}nonsense\t1\t2\n"), "not in its place");
    assert_eq!(Snapshot::parse(HEAD.to_owned()).unwrap().names().count(), 0);
}
