use std::collections::BTreeMap;

use super::super::snapshot::Snapshot;
use super::*;
use crate::config::ModelConfig;

fn catalog(lines: &str, overrides: &BTreeMap<String, ModelConfig>) -> Catalog {
    let text = format!("#steward-prices-1\ts\t2026-01-01\tabcdef0123\tMIT\n{lines}");
    Catalog::load_with(overrides, Snapshot::parse(text).unwrap()).unwrap()
}

#[test]
fn what_is_added_removed_and_changed_is_told() {
    let none = BTreeMap::new();
    let before = catalog("xai/a\t1\t2\nxai/b\t1\t2\t\t\t\t\t\t\t\t\t100\nxai/c\t4\t8\n", &none);
    let after = catalog("xai/b\t1\t2\t\t\t\t\t\t\t\t\t200\nxai/c\t5\t8\nxai/d\t1\t1\n", &none);
    let difference = Difference::between(&before, &after);
    assert_eq!(
        (difference.added, difference.removed),
        (vec!["xai/d".to_owned()], vec!["xai/a".to_owned()])
    );
    assert_eq!(difference.limits, ["xai/b"]);
    let input = &difference.prices[0];
    assert_eq!((input.model.as_str(), input.percent), ("xai/c", Some(25.0)));
    assert_eq!((input.before_usd.as_deref(), input.after_usd.as_deref()), (Some("4"), Some("5")));
    let parts: BTreeSet<&str> = difference.prices.iter().map(|change| change.price).collect();
    assert!(
        parts.contains("input_usd_per_mtok") && !parts.contains("output_usd_per_mtok"),
        "{parts:?}"
    );
    assert!(Difference::between(&before, &before).is_empty());
}

#[test]
fn a_price_of_the_operators_own_does_not_change() {
    let own: ModelConfig = toml::from_str("input_usd_per_mtok = 7.0\noutput_usd_per_mtok = 7.0").unwrap();
    let own = BTreeMap::from([("xai/c".to_owned(), own)]);
    let difference = Difference::between(&catalog("xai/c\t4\t8\n", &own), &catalog("xai/c\t5\t9\n", &own));
    assert!(difference.is_empty(), "{difference:?}");
}

#[test]
fn a_list_in_place_of_the_shipped_one_goes_before_the_short_list() {
    let catalog = catalog("openai/gpt-5\t9\t99\n", &BTreeMap::new());
    let model = catalog.model("openai/gpt-5").unwrap();
    let price = model.price.as_ref().unwrap();
    assert_eq!(
        (price.input.times(1_000_000).to_string(), price.version.as_str()),
        ("9".to_owned(), "s@2026-01-01#abcdef01")
    );
    assert_eq!(price.cached_input, price.input, "a price is taken whole from one list");
    assert!(model.context_tokens.is_some() && model.tier.is_some(), "what it does not say stays");
}
