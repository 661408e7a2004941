//! What dpkg says of itself.

use crate::process::{plain, run_bounded};
use overhaul_model::primitive::Measurement;
use std::time::Duration;

/// Output of dpkg that is read: a line per package, of which a large host has some ten thousand.
const DPKG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// States of packages that need nothing: installed, held in that state, removed, or never there.
const SETTLED: [&str; 3] = ["installed", "config-files", "not-installed"];

/// Packages named in evidence.
const NAMED_MAX: usize = 5;

fn unknown(reason: String) -> Measurement {
    Measurement::Unknown { reason }
}

/// Standard output of a command that succeeded.
fn output(program: &str, arguments: &[&str], within: Duration) -> Result<String, Measurement> {
    let done = run_bounded(plain(program, arguments), within, DPKG_BYTES_MAX)
        .map_err(|gone| unknown(format!("{program}: {gone}")))?;
    if !done.status.success() {
        let line = done.last_line();
        return Err(unknown(format!("{program}: {line} ({})", done.status)));
    }
    if done.cut {
        return Err(unknown(format!("{program} printed too much")));
    }
    Ok(String::from_utf8_lossy(&done.out).into_owned())
}

/// Nothing unfinished: `dpkg --audit` has no complaint, and each package is in a state to stay in.
pub(super) fn clean(within: Duration) -> Measurement {
    let result = || {
        let audit = output("dpkg", &["--audit"], within)?;
        if let Some(first) = audit.lines().find(|line| !line.trim().is_empty()) {
            let evidence = format!("dpkg --audit: {}", first.trim());
            return Err(Measurement::NotSo { evidence });
        }
        let format = "--showformat=${Package} ${db:Status-Eflag} ${db:Status-Status}\n";
        output("dpkg-query", &["--show", format], within)
    };
    match result() {
        Ok(list) => judge_states(&list),
        Err(measured) => measured,
    }
}

fn judge_states(list: &str) -> Measurement {
    let mut count = 0_usize;
    let mut unsettled = Vec::new();
    for line in list.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, flag, status] = fields.as_slice() else {
            return unknown(format!("dpkg-query printed {line:?}"));
        };
        count = count.saturating_add(1);
        if *flag != "ok" || !SETTLED.contains(status) {
            unsettled.push(format!("{name} ({flag} {status})"));
        }
    }
    if count == 0 {
        return unknown("dpkg-query names no package".to_owned());
    }
    if unsettled.is_empty() {
        let evidence = format!("{count} packages, all settled");
        return Measurement::So { evidence };
    }
    Measurement::NotSo {
        evidence: format!("unfinished: {}", some_of(&unsettled)),
    }
}

/// A package as people ask apt for it: `name`, `name:architecture`, `name=version`.
struct Wanted<'a> {
    /// As dpkg-query is asked.
    query: &'a str,
    /// As dpkg-query names it.
    name: &'a str,
    /// The one version that counts.
    version: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(text: &'a str) -> Self {
        let (query, version) = match text.split_once('=') {
            Some((query, version)) => (query, Some(version)),
            None => (text, None),
        };
        // A name may carry its architecture, which the list does not repeat.
        let name = query.split(':').next().unwrap_or(query);
        Self {
            query,
            name,
            version,
        }
    }

    fn is_in(&self, list: &str) -> bool {
        list.lines().any(|line| {
            let mut fields = line.split_ascii_whitespace();
            fields.next() == Some(self.name)
                && fields.next() == Some("installed")
                && self
                    .version
                    .is_none_or(|version| fields.next() == Some(version))
        })
    }
}

/// Whether all of these are installed, in the version that is named where one is.
pub(super) fn installed(names: &[String], within: Duration) -> Measurement {
    let mut arguments = vec![
        "--show",
        "--showformat=${Package} ${db:Status-Status} ${Version}\n",
        "--",
    ];
    arguments.extend(names.iter().map(|wanted| Wanted::of(wanted).query));
    let done = match run_bounded(plain("dpkg-query", &arguments), within, DPKG_BYTES_MAX) {
        Ok(done) => done,
        Err(gone) => return unknown(format!("dpkg-query: {gone}")),
    };
    // It ends with 1 when it does not know some of the names, and names the others.
    if !matches!(done.status.code(), Some(0 | 1)) {
        let line = done.last_line();
        return unknown(format!("dpkg-query: {line} ({})", done.status));
    }
    judge_installed(names, &String::from_utf8_lossy(&done.out))
}

fn judge_installed(names: &[String], list: &str) -> Measurement {
    let lacks = |name: &&String| !Wanted::of(name).is_in(list);
    let lacking: Vec<String> = names.iter().filter(lacks).cloned().collect();
    if lacking.is_empty() {
        let evidence = format!("{} packages installed", names.len());
        return Measurement::So { evidence };
    }
    Measurement::NotSo {
        evidence: format!("not installed: {}", some_of(&lacking)),
    }
}

fn some_of(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(NAMED_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = names.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settled_states_are_clean() {
        for (list, expected) in [
            (
                "a ok installed\nb ok config-files\n",
                "2 packages, all settled",
            ),
            (
                "a ok half-configured\n",
                "unfinished: a (ok half-configured)",
            ),
            (
                "a reinstreq half-installed\n",
                "unfinished: a (reinstreq half-installed)",
            ),
            (
                "a ok triggers-pending\n",
                "unfinished: a (ok triggers-pending)",
            ),
            ("", "dpkg-query names no package"),
            ("a installed\n", "dpkg-query printed \"a installed\""),
        ] {
            assert_eq!(judge_states(list).words(), expected);
        }
        assert!(judge_states("a ok installed\n").is_so());
        assert!(!judge_states("a ok unpacked\n").is_so());
    }

    #[test]
    fn installed_is_not_merely_known() {
        let names = ["a".to_owned(), "b:amd64".to_owned()];
        let list = "a installed 1.0\nb installed 2.0\n";
        assert_eq!(
            judge_installed(&names, list).words(),
            "2 packages installed"
        );
        let list = "a config-files 1.0\nb installed 2.0\n";
        assert_eq!(judge_installed(&names, list).words(), "not installed: a");
        assert_eq!(
            judge_installed(&names, "").words(),
            "not installed: a, b:amd64"
        );
    }

    #[test]
    fn a_version_that_is_named_is_the_one_that_counts() {
        let list = "a installed 1:1.0-1\nb installed 2.0\n";
        for (name, evidence) in [
            ("a=1:1.0-1", "1 packages installed"),
            ("b:amd64=2.0", "1 packages installed"),
            ("a=1:1.0-2", "not installed: a=1:1.0-2"),
            ("a=1.0-1", "not installed: a=1.0-1"),
            ("c=2.0", "not installed: c=2.0"),
        ] {
            let names = [name.to_owned()];
            assert_eq!(judge_installed(&names, list).words(), evidence);
        }
        assert_eq!(Wanted::of("b:amd64=2:3=4").query, "b:amd64");
    }
}
