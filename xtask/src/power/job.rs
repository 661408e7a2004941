//! The steps of `lab/power-loss/upgrade.yaml`, by what may become of them.

/// What may become of a step whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A person decides.
    Once,
    /// It is begun again.
    Safe,
    /// Its check decides.
    Look,
    /// overhaul's own work on a file, which its check decides.
    File,
}

/// All steps in order, each named by its class.
pub const STEPS: [&str; 24] = [
    "once-01", "safe-02", "look-03", "once-04", "file-05", "once-06", "safe-07", "look-08",
    "once-09", "safe-10", "look-11", "once-12", "file-13", "once-14", "safe-15", "look-16",
    "once-17", "safe-18", "look-19", "once-20", "file-21", "once-22", "safe-23", "look-24",
];

/// A step's class.
pub fn class(step: &str) -> Option<Class> {
    match step.split('-').next()? {
        "once" => Some(Class::Once),
        "safe" => Some(Class::Safe),
        "look" => Some(Class::Look),
        "file" => Some(Class::File),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_has_these_steps() {
        let text = include_str!("../../../lab/power-loss/upgrade.yaml");
        let named: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("{name: ")?.1.split_once(','))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(named, STEPS);
        for line in text.lines().filter(|line| line.contains("{name: ")) {
            let said = match STEPS
                .iter()
                .find(|step| line.contains(**step))
                .and_then(|step| class(step))
            {
                Some(Class::Once) => "once: host",
                Some(Class::Safe) => "repeat: safe",
                Some(Class::Look) => "check: ",
                Some(Class::File) => "file: {path",
                None => panic!("{line}"),
            };
            assert!(line.contains(said), "{line}");
        }
    }
}
