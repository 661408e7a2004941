//! Units of systemd.

use overhaul_model::facts::Unit;

/// Reads what `systemctl list-units --plain --no-legend` prints.
///
/// # Errors
/// When a line is not understood.
pub(super) fn parse(text: &str) -> Result<Vec<Unit>, String> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let mut words = line.split_ascii_whitespace().peekable();
            // A mark for units in trouble, which some versions print even so.
            words.next_if(|word| !word.contains('.'));
            let mut next = || words.next();
            match (next(), next(), next(), next()) {
                (Some(name), Some(load), Some(active), Some(sub)) => {
                    Ok(Unit::new(name, load, active, sub))
                }
                _ => Err(format!("systemctl printed {line:?}")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_lists_are_read() {
        let text = "\
cron.service                 loaded    active   running Regular background program processing daemon
● nginx.service              loaded    failed   failed  A high performance web server
plymouth.service             not-found inactive dead    plymouth.service
dev-mqueue.mount             loaded    active   mounted POSIX Message Queue File System
dbus.socket                  loaded    active   running
";
        let read: Vec<String> = parse(text)
            .unwrap()
            .into_iter()
            .map(|unit| format!("{} {} {} {}", unit.name, unit.load, unit.active, unit.sub))
            .collect();
        assert_eq!(
            read,
            [
                "cron.service loaded active running",
                "nginx.service loaded failed failed",
                "plymouth.service not-found inactive dead",
                "dev-mqueue.mount loaded active mounted",
                "dbus.socket loaded active running",
            ]
        );
        assert_eq!(parse("").unwrap(), []);
        assert!(parse("cron.service loaded\n").is_err());
    }
}
