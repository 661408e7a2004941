//! Where this machine takes its Debian packages from: apt's own source files, in both formats.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Named, Result, malformed};

/// The key file that Debian's own archive is signed with, where Debian installs it.
const DEFAULT_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One source of binary packages, as apt has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where the archive is.
    pub uri: String,
    /// The suite, for example `bookworm-updates`.
    pub suite: String,
    /// The parts of the suite, for example `main`.
    pub components: Vec<String>,
    /// The key file named for it.
    pub signed_by: Option<String>,
}

/// What the lab needs to know of the machine's Debian mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The archive with the releases and, if `updates`, their updates.
    pub archive: String,
    /// The archive with security fixes, when the machine has one.
    pub security: Option<String>,
    /// Whether the machine takes the updates of stable releases.
    pub updates: bool,
    /// The keys that sign it.
    pub keyring: PathBuf,
}

/// Reads the machine's configuration.
pub fn of_this_machine() -> Result<Mirror> {
    let folder = Path::new("/etc/apt");
    let mut sources = Vec::new();
    for path in source_files(folder)? {
        let text = fs::read_to_string(&path).named(&path)?;
        sources.extend(if path.extension().is_some_and(|kind| kind == "sources") {
            parse_deb822(&text)
        } else {
            parse_one_line(&text)
        });
    }
    mirror_of(&sources).ok_or_else(|| {
        malformed(
            folder.display().to_string(),
            "no source of Debian packages (component main) is configured on this machine",
        )
    })
}

fn source_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let single = folder.join("sources.list");
    if single.exists() {
        files.push(single);
    }
    let parts = folder.join("sources.list.d");
    if parts.is_dir() {
        for entry in fs::read_dir(&parts).named(&parts)? {
            let path = entry.named(&parts)?.path();
            if path
                .extension()
                .is_some_and(|kind| kind == "list" || kind == "sources")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the older format: `deb [options] URI suite component...`, one source a line.
pub fn parse_one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(one_line_source).collect()
}

fn one_line_source(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default();
    let rest = line.trim().strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(str::to_owned);
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uri: words.next()?,
        suite: words.next()?,
        components: words.collect(),
        signed_by,
    })
}

/// Reads the deb822 format: paragraphs of `Field: value`, where a value goes on in lines that begin with a space.
pub fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut paragraph: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(paragraph_sources(&paragraph));
            paragraph.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = paragraph.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            paragraph.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn paragraph_sources(paragraph: &[(String, String)]) -> Vec<Source> {
    let field = |name: &str| -> Vec<&str> {
        paragraph
            .iter()
            .filter(|(field, _)| field == name)
            .flat_map(|(_, value)| value.split_whitespace())
            .collect()
    };
    let off = ["no", "false", "0", "off", "without", "disable"];
    if field("enabled").iter().any(|word| off.contains(word)) || !field("types").contains(&"deb") {
        return Vec::new();
    }
    // A key may stand in the file itself; only a file can be handed on to other tools.
    let signed_by = field("signed-by")
        .first()
        .filter(|value| value.starts_with('/'))
        .map(|value| (*value).to_owned());
    let mut sources = Vec::new();
    for uri in field("uris") {
        for suite in field("suites") {
            sources.push(Source {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
                components: field("components").into_iter().map(str::to_owned).collect(),
                signed_by: signed_by.clone(),
            });
        }
    }
    sources
}

/// Finds Debian's own archive among the sources: the one whose suite has `-security` and the one beside it.
pub fn mirror_of(sources: &[Source]) -> Option<Mirror> {
    let debian = |source: &&Source| {
        let release = source.suite.split(['-', '/']).next().unwrap_or_default();
        let known = [
            "bookworm",
            "trixie",
            "forky",
            "sid",
            "stable",
            "testing",
            "unstable",
            "oldstable",
            "bullseye",
        ];
        known.contains(&release) && source.components.iter().any(|part| part == "main")
    };
    let is_security = |source: &&Source| source.suite.contains("security");
    let is_backports = |source: &&Source| source.suite.contains("backports");
    let base = sources
        .iter()
        .filter(debian)
        .find(|source| !is_security(source) && !is_backports(source))?;
    let security = sources.iter().filter(debian).find(is_security);
    Some(Mirror {
        archive: base.uri.trim_end_matches('/').to_owned(),
        security: security.map(|source| source.uri.trim_end_matches('/').to_owned()),
        updates: sources
            .iter()
            .filter(debian)
            .any(|source| source.suite.ends_with("-updates")),
        keyring: PathBuf::from(base.signed_by.as_deref().unwrap_or(DEFAULT_KEYRING)),
    })
}

/// The address under which hosts know the mirror; `/etc/hosts` of each host leads it to the instance's own bridge.
pub const HOSTS_MIRROR: &str = "http://mirror.lab:3142";

impl Mirror {
    /// The suites of a release with the folder of the lab's mirror that each is in.
    pub fn suites(&self, release: &str) -> Vec<(&'static str, String)> {
        let mut suites = vec![("debian", release.to_owned())];
        if self.updates {
            suites.push(("debian", format!("{release}-updates")));
        }
        if self.security.is_some() {
            suites.push(("debian-security", format!("{release}-security")));
        }
        suites
    }

    /// A host's `/etc/apt/sources.list`.
    pub fn one_line(&self, release: &str) -> String {
        self.suites(release)
            .iter()
            .map(|(folder, suite)| format!("deb {HOSTS_MIRROR}/{folder} {suite} main\n"))
            .collect()
    }

    /// A host's `/etc/apt/sources.list.d/debian.sources`.
    pub fn deb822(&self, release: &str) -> String {
        let mut text = String::new();
        for folder in ["debian", "debian-security"] {
            let suites: Vec<String> = self
                .suites(release)
                .into_iter()
                .filter(|(of, _)| *of == folder)
                .map(|(_, suite)| suite)
                .collect();
            if !suites.is_empty() {
                text.push_str(&format!(
                    "Types: deb\nURIs: {HOSTS_MIRROR}/{folder}\nSuites: {}\nComponents: main\nSigned-By: {DEFAULT_KEYRING}\n\n",
                    suites.join(" ")
                ));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_LINE: &str = "\
# deb http://commented.example/debian bookworm main
deb-src http://a.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] http://a.example/debian/ bookworm main contrib # why
deb\thttp://a.example/debian bookworm-updates main
deb http://s.example/security bookworm-security main
deb https://other.example/apt tool-bookworm main
";

    const DEB822: &str = "\
Types: deb deb-src
# a remark inside
URIs: http://a.example/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/d.gpg

Types: deb
URIs: http://s.example/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

    fn expected() -> Mirror {
        Mirror {
            archive: "http://a.example/debian".into(),
            security: Some("http://s.example/security".into()),
            updates: true,
            keyring: "/usr/share/keyrings/d.gpg".into(),
        }
    }

    #[test]
    fn both_formats_name_the_same_mirror() {
        assert_eq!(mirror_of(&parse_one_line(ONE_LINE)), Some(expected()));
        assert_eq!(mirror_of(&parse_deb822(DEB822)), Some(expected()));
    }

    #[test]
    fn only_binary_sources_that_are_on_are_read() {
        let one_line: Vec<String> = parse_one_line(ONE_LINE)
            .into_iter()
            .map(|s| s.suite)
            .collect();
        assert_eq!(
            one_line,
            [
                "bookworm",
                "bookworm-updates",
                "bookworm-security",
                "tool-bookworm"
            ]
        );
        let deb822: Vec<String> = parse_deb822(DEB822).into_iter().map(|s| s.suite).collect();
        assert_eq!(
            deb822,
            ["bookworm", "bookworm-updates", "bookworm-security"]
        );
    }

    #[test]
    fn a_machine_without_security_or_keyring_gets_the_defaults() {
        let mirror = mirror_of(&parse_one_line("deb http://a.example/debian trixie main")).unwrap();
        assert_eq!(mirror.security, None);
        assert!(!mirror.updates);
        assert_eq!(mirror.keyring, Path::new(DEFAULT_KEYRING));
        assert_eq!(
            mirror.suites("bookworm"),
            [("debian", "bookworm".to_owned())]
        );
    }

    #[test]
    fn foreign_and_inline_sources_are_no_mirror() {
        assert_eq!(
            mirror_of(&parse_one_line("deb https://other.example/apt tool main")),
            None
        );
        let inline = "Types: deb\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n";
        assert_eq!(
            parse_deb822(inline)
                .first()
                .and_then(|s| s.signed_by.clone()),
            None
        );
    }

    #[test]
    fn hosts_get_either_format() {
        let mirror = expected();
        assert_eq!(
            mirror.one_line("bookworm"),
            "deb http://mirror.lab:3142/debian bookworm main\n\
             deb http://mirror.lab:3142/debian bookworm-updates main\n\
             deb http://mirror.lab:3142/debian-security bookworm-security main\n"
        );
        let read_back: Vec<String> = parse_deb822(&mirror.deb822("bookworm"))
            .into_iter()
            .map(|source| source.suite)
            .collect();
        assert_eq!(
            read_back,
            ["bookworm", "bookworm-updates", "bookworm-security"]
        );
    }
}
