//! What a master says on standard error, kept within bounds.

/// What is kept of it: an attempt to be let in by a dozen keys fits.
const BYTES_MAX: usize = 48 << 10;
/// How `ssh` marks what it does from what it complains of.
const DEBUG: &str = "debug1: ";

/// The end of what a master said.
#[derive(Debug, Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
}

impl Log {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(BYTES_MAX);
        self.bytes.drain(..surplus);
    }

    /// What was said while the connection was made is of no use once it stands.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn lines(&self) -> Lines {
        let text = crate::ssh::printable(&self.bytes, BYTES_MAX);
        Lines(text.lines().map(str::to_owned).collect())
    }
}

/// The lines of a log, fit to be shown.
#[derive(Debug)]
pub(super) struct Lines(Vec<String>);

impl Lines {
    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self(text.lines().map(str::to_owned).collect())
    }

    /// What `ssh` tells of its doings.
    pub(super) fn doings(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|line| line.strip_prefix(DEBUG))
    }

    /// What it complains of.
    pub(super) fn complaints(&self) -> impl DoubleEndedIterator<Item = &str> {
        let own = |line: &&str| !line.is_empty() && !line.starts_with("debug") && !is_chatter(line);
        self.0.iter().map(|line| line.trim()).filter(own)
    }

    /// The line after the last doing that begins so.
    pub(super) fn after(&self, doing: &str) -> Option<&str> {
        let at = self.0.iter().rposition(|line| {
            line.strip_prefix(DEBUG)
                .is_some_and(|line| line.starts_with(doing))
        })?;
        self.0
            .get(at + 1)
            .map(|line| line.trim())
            .filter(|line| !line.is_empty())
    }
}

/// Lines without a mark that are no complaints.
fn is_chatter(line: &str) -> bool {
    const BEGINNINGS: [&str; 6] = [
        "OpenSSH_",
        "Authenticated to ",
        "Transferred: ",
        "Bytes per second: ",
        "Warning: Permanently added",
        "@@@@",
    ];
    BEGINNINGS
        .iter()
        .any(|beginning| line.starts_with(beginning))
}
