use super::Usd;

fn check(text: &str, shown: &str) {
    let amount: Usd = text.parse().unwrap();
    assert_eq!(amount.to_string(), shown);
}

#[test]
fn amounts_are_exact_both_ways() {
    check("0.000412", "0.000412");
    check("12.50", "12.5");
    check("-3", "-3");
    check("0.000000000001", "0.000000000001");
}

#[test]
fn what_is_no_amount_is_refused() {
    for text in ["", ".", "1e3", "0.0000000000001", "1,5", "NaN", "--1"] {
        assert!(text.parse::<Usd>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn a_tenth_from_a_configuration_file_is_exactly_a_tenth() {
    let tenth = Usd::from_config(0.1).unwrap();
    assert_eq!(tenth.times(10), "1".parse().unwrap());
}
