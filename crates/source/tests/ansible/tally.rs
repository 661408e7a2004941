//! What was compared, and what differed.

/// Differences that are printed; a broken reader differs in thousands of places.
const SHOWN_MAX: usize = 60;

/// Counts and differences.
#[derive(Default)]
pub struct Tally {
    pub inventories: u64,
    pub refused: u64,
    pub known: u64,
    pub hosts: u64,
    pub groups: u64,
    pub variables: u64,
    pub patterns: u64,
    differences: Vec<String>,
}

impl Tally {
    /// Notes a difference.
    pub fn differs(&mut self, case: &str, what: impl std::fmt::Display) {
        self.differences.push(format!("{case}: {what}"));
    }

    /// Whether anything differed.
    pub fn has_differences(&self) -> bool {
        !self.differences.is_empty()
    }

    /// Prints the numbers; fails when there is a difference.
    pub fn conclude(self) {
        println!(
            "compared with ansible-core: {} inventories ({} refused by both, {} known differences), {} hosts, {} groups, {} variables, \
             {} patterns; differences: {}",
            self.inventories,
            self.refused,
            self.known,
            self.hosts,
            self.groups,
            self.variables,
            self.patterns,
            self.differences.len()
        );
        let shown: Vec<&str> = self
            .differences
            .iter()
            .take(SHOWN_MAX)
            .map(String::as_str)
            .collect();
        assert!(
            shown.is_empty(),
            "{} differences:\n{}",
            self.differences.len(),
            shown.join("\n")
        );
    }
}
