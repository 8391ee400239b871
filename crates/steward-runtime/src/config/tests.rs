use std::time::Duration;

use steward_domain::limits::TurnLimits;

use super::{LimitsConfig, parse_duration};

#[test]
fn durations_are_read_with_their_unit() {
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_duration("30m"), Ok(Duration::from_secs(1_800)));
    for wrong in ["", "30", "m", "-1s", "1.5h", "30 m", "99999999999999999999d"] {
        assert!(parse_duration(wrong).is_err(), "{wrong:?} was taken");
    }
}

#[test]
fn a_limit_that_makes_no_sense_is_named() {
    let bad = LimitsConfig {
        turn_time: Some("soon".into()),
        ..LimitsConfig::default()
    };
    assert!(bad.checked().unwrap_err().starts_with("limits.turn_time:"));
    let none = LimitsConfig {
        steps: Some(0),
        ..LimitsConfig::default()
    };
    assert!(none.checked().is_err());
}

#[test]
fn the_defaults_in_the_schema_are_the_defaults() {
    let schema = schemars::schema_for!(LimitsConfig).to_value();
    let fields = schema["properties"].as_object().unwrap();
    let shown = fields.iter().map(|(name, field)| (name.clone(), field["default"].clone()));
    let written: LimitsConfig = serde_json::from_value(shown.collect()).unwrap();
    assert_eq!(written.checked().unwrap(), TurnLimits::default());
}
