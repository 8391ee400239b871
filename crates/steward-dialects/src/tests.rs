//! Names of the dialects.

use crate::Dialect;

#[test]
fn every_name_leads_back_to_its_dialect() {
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::from_name(dialect.name()), Some(dialect));
    }
    assert_eq!(Dialect::from_name("local"), None);
}
