//! Who we are on this machine, as OpenSSH sees it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// The operator's account. OpenSSH takes name and home from the account's entry, not from the
/// environment, and so do we; the environment serves where there is no entry in `/etc/passwd`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: Option<String>,
    /// Its home.
    pub home: Option<PathBuf>,
    /// Its number.
    pub uid: Option<u32>,
}

impl Account {
    /// Ours.
    pub fn own() -> Self {
        let uid = fs::metadata("/proc/self").ok().map(|data| data.uid());
        let entries = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = uid.and_then(|uid| entry(&entries, uid));
        let named = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (name, home) = entry.unzip();
        Self {
            name: name.or_else(|| named("USER")).or_else(|| named("LOGNAME")),
            home: home.or_else(|| named("HOME").map(PathBuf::from)),
            uid,
        }
    }
}

/// Name and home of an account in the form of `/etc/passwd`.
fn entry(entries: &str, uid: u32) -> Option<(String, PathBuf)> {
    entries.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        let home = fields.nth(2)?;
        (number == uid).then(|| (name.to_owned(), PathBuf::from(home)))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    #[test]
    fn entries_are_found_by_number() {
        let text =
            "root:x:0:0:root:/root:/bin/bash\nodd\nanna:x:1000:1000:A,,,:/home/anna:/bin/sh\n";
        let anna = Some(("anna".to_owned(), PathBuf::from("/home/anna")));
        assert_eq!(super::entry(text, 1000), anna);
        assert_eq!(super::entry(text, 7), None);
    }
}
