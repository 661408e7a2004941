//! The order of versions is that of dpkg itself.

use overhaul_model::version::compare;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::process::Command;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The real program is asked.
    #[test]
    fn dpkg_agrees(
        a in "([0-2]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-b.+~]{1,4})?",
        b in "([0-2]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-b.+~]{1,4})?",
    ) {
        let dpkg = |operator: &str| {
            Command::new("dpkg")
                .args(["--compare-versions", &a, operator, &b])
                .status()
                .unwrap()
                .success()
        };
        let expected = if dpkg("lt") {
            Ordering::Less
        } else if dpkg("gt") {
            Ordering::Greater
        } else {
            Ordering::Equal
        };
        prop_assert_eq!(compare(&a, &b), expected);
    }
}
