//! What people changed of packages without changing a file: pins, diversions, owners, alternatives; and the
//! files that were set aside in doing so.

use super::lines::{field, stanzas};
use super::root::{Root, TEXT_BYTES_MAX};
use overhaul_model::facts::{Alternative, Diversion, Pin, StatOverride};
use std::fs;
use std::time::{Duration, Instant};

/// Most entries below `/etc` that are looked at, and longest time for it: a site with more keeps something
/// else there.
const ETC_ENTRIES_MAX: usize = 100_000;
const ETC_MS_MAX: u64 = 3_000;

/// Deepest folder below `/etc`.
const ETC_DEPTH_MAX: usize = 16;

/// Pins of `apt_preferences(5)`; a default release is a pin of everything to 990.
pub(super) fn pins(root: &Root) -> Result<Vec<Pin>, String> {
    let mut files = vec!["/etc/apt/preferences".to_owned()];
    files.extend(root.files("/etc/apt/preferences.d", "")?);
    let mut pins = Vec::new();
    for file in files {
        // As apt reads the folder: no ending, or this one.
        let name = file.rsplit('/').next().unwrap_or_default();
        if name.contains('.') && !name.ends_with(".pref") {
            continue;
        }
        let text = root.optional(&file, TEXT_BYTES_MAX)?.unwrap_or_default();
        pins.extend(preferences(&file, &text));
    }
    let mut files = root.files("/etc/apt/apt.conf.d", "")?;
    files.push("/etc/apt/apt.conf".to_owned());
    for file in files {
        let text = root.optional(&file, TEXT_BYTES_MAX)?.unwrap_or_default();
        pins.extend(default_release(&text).map(|release| Pin {
            file,
            packages: "*".to_owned(),
            pin: format!("release {release}"),
            priority: "990".to_owned(),
        }));
    }
    Ok(pins)
}

fn preferences(file: &str, text: &str) -> Vec<Pin> {
    stanzas(text)
        .iter()
        .filter(|stanza| !field(stanza, "package").is_empty())
        .map(|stanza| Pin {
            file: file.to_owned(),
            packages: one_line(field(stanza, "package")),
            pin: one_line(field(stanza, "pin")),
            priority: one_line(field(stanza, "pin-priority")),
        })
        .collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value of `APT::Default-Release`, in either way of writing it; the last one counts.
fn default_release(text: &str) -> Option<String> {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .filter(|line| !line.starts_with('#'));
    let lower = |line: &str| line.to_ascii_lowercase();
    lines
        .filter_map(|line| {
            let at = lower(line).find("default-release")?;
            let mut quoted = line.get(at..)?.split('"');
            quoted.next()?;
            quoted.next().map(str::to_owned)
        })
        .next_back()
        .filter(|release| !release.is_empty())
}

/// Local diversions of `dpkg-divert(1)`: three lines each, a colon for "nobody's package".
pub(super) fn diversions(root: &Root) -> Result<Vec<Diversion>, String> {
    let text = root.optional("/var/lib/dpkg/diversions", 4 * TEXT_BYTES_MAX)?;
    Ok(all_diversions(&text.unwrap_or_default())
        .into_iter()
        .filter(|(_, package)| package == ":")
        .map(|(diversion, _)| diversion)
        .collect())
}

/// All diversions, each with the package that it is for.
pub(super) fn all_diversions(text: &str) -> Vec<(Diversion, String)> {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .chunks(3)
        .filter_map(|chunk| match chunk {
            [path, to, package] => Some((
                Diversion {
                    path: (*path).to_owned(),
                    to: (*to).to_owned(),
                },
                (*package).to_owned(),
            )),
            _ => None,
        })
        .collect()
}

/// Overrides of `dpkg-statoverride(1)`: `user group mode path`.
pub(super) fn stat_overrides(root: &Root) -> Result<Vec<StatOverride>, String> {
    let text = root.optional("/var/lib/dpkg/statoverride", TEXT_BYTES_MAX)?;
    Ok(overrides(&text.unwrap_or_default()))
}

fn overrides(text: &str) -> Vec<StatOverride> {
    text.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(4, ' ');
            let mut next = || parts.next().map(str::to_owned);
            let (user, group, mode) = (next()?, next()?, next()?);
            Some(StatOverride {
                path: next()?,
                user,
                group,
                mode,
            })
        })
        .collect()
}

/// Alternatives in manual mode: the first line of a file of `update-alternatives(1)` says so.
pub(super) fn alternatives(root: &Root) -> Result<Vec<Alternative>, String> {
    const FOLDER: &str = "/var/lib/dpkg/alternatives";
    let mut found = Vec::new();
    for name in root.names(FOLDER)? {
        let text = root.text(&format!("{FOLDER}/{name}"))?;
        if text.lines().next() == Some("manual") {
            let path = root.link(&format!("/etc/alternatives/{name}"));
            found.push(Alternative {
                path: path.unwrap_or_default(),
                name,
            });
        }
    }
    Ok(found)
}

/// Names below `/etc` that dpkg and ucf give, as the release notes search for them.
fn is_set_aside(name: &str) -> bool {
    name.contains(".dpkg-") || name.contains(".ucf-") || name.ends_with(".merge-error")
}

/// Files below `/etc` that were set aside.
pub(super) fn set_aside(root: &Root) -> Result<Vec<String>, String> {
    let until = Instant::now() + Duration::from_millis(ETC_MS_MAX);
    let mut found = Vec::new();
    let mut folders = vec![("/etc".to_owned(), 0_usize)];
    let mut seen = 0_usize;
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(root.path(&folder)) {
            Ok(entries) => entries,
            // A folder for the eyes of another account only holds nothing for us.
            Err(_) if depth > 0 => continue,
            Err(error) => return Err(format!("{folder}: {error}")),
        };
        for entry in entries.filter_map(Result::ok) {
            seen = seen.saturating_add(1);
            if seen > ETC_ENTRIES_MAX || Instant::now() > until {
                return Err("more is in /etc than can be looked through".to_owned());
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < ETC_DEPTH_MAX {
                    folders.push((path, depth.saturating_add(1)));
                }
            } else if is_set_aside(&name) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pins_are_read() {
        let text = "\
Explanation: why
Package: *
Pin: release n=bookworm
Pin-Priority: 900

Package: nginx
 nginx-*
Pin: version 1.22*
Pin-Priority: 1001
";
        let pins: Vec<String> = preferences("p", text)
            .into_iter()
            .map(|pin| format!("{} | {} | {}", pin.packages, pin.pin, pin.priority))
            .collect();
        assert_eq!(
            pins,
            [
                "* | release n=bookworm | 900",
                "nginx nginx-* | version 1.22* | 1001"
            ]
        );
    }

    #[test]
    fn a_default_release_is_found_in_both_forms() {
        for (text, expected) in [
            ("APT::Default-Release \"bookworm\";", Some("bookworm")),
            ("APT {\n  default-release \"stable\";\n};", Some("stable")),
            ("// APT::Default-Release \"x\";", None),
            ("# APT::Default-Release \"x\";", None),
            ("APT::Default-Release \"\";", None),
            ("APT::Default-Release", None),
        ] {
            assert_eq!(default_release(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-zA-Z:\" /*;.{}]|\n|Package: |Default-Release ){0,80}") {
            let _pins = preferences("p", &text);
            let _release = default_release(&text);
            prop_assert!(all_diversions(&text).len() <= text.lines().count());
        }

        #[test]
        fn an_override_is_read_as_dpkg_wrote_it(
            user in "[a-z_#0-9-]{1,8}", mode in "[0-7]{3,4}", path in "/[a-z/ é]{0,12}", rest in "[ a-z\n]{0,20}"
        ) {
            let read = overrides(&format!("{user} root {mode} {path}\n{rest}"));
            let expected = StatOverride { path, user, group: "root".to_owned(), mode };
            prop_assert_eq!(read.first(), Some(&expected));
        }
    }
}
