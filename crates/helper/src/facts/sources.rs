//! Package sources, and whose they are.

use super::lines::{Stanza, field, stanzas};
use super::root::{Root, TEXT_BYTES_MAX};
use overhaul_model::facts::ForeignSource;
use std::io::Read as _;

/// Bytes read of a release file: its origin stands in its first lines.
const ORIGIN_BYTES: u64 = 16 * 1024;

const LISTS: &str = "/var/lib/apt/lists";

/// Characters that apt writes as `%xx` in the names of its lists.
const QUOTED: &str = "\\|{}[]<>\"^~_=!@#$%&*";

/// A place that packages come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// Without any login in it.
    pub(super) uri: String,
    pub(super) suite: String,
}

impl Source {
    fn new(uri: &str, suite: &str) -> Self {
        Self {
            uri: without_login(uri),
            suite: suite.to_owned(),
        }
    }

    pub(super) fn foreign(self, file: &str) -> ForeignSource {
        ForeignSource {
            file: file.to_owned(),
            uri: self.uri,
            suite: self.suite,
        }
    }

    /// How apt names the release file of this source among its lists, without its ending
    /// `InRelease` or `Release`.
    pub(super) fn list_name(&self) -> String {
        let address = match self.uri.split_once(':') {
            Some((_, rest)) => rest.strip_prefix("//").unwrap_or(rest),
            None => &self.uri,
        };
        let mut path = address.to_owned();
        if !path.ends_with('/') {
            path.push('/');
        }
        match self.suite.strip_suffix('/') {
            Some("") => {}
            Some(_) => path.push_str(&self.suite),
            None => path.push_str(&format!("dists/{}/", self.suite)),
        }
        quote(&path)
    }
}

fn quote(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    for byte in path.bytes() {
        let c = char::from(byte);
        if c == '/' {
            name.push('_');
        } else if byte.is_ascii_graphic() && !QUOTED.contains(c) {
            name.push(c);
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}

/// A login in an address is a secret.
pub(super) fn without_login(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// Sources of a file in the form of one line each.
pub(super) fn one_line(text: &str) -> Vec<Source> {
    text.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line
        .strip_prefix("deb-src")
        .or_else(|| line.strip_prefix("deb"))?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    // Options such as [arch=amd64 signed-by=/path] stand before the address.
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_ascii_whitespace();
    Some(Source::new(words.next()?, words.next()?))
}

/// Sources of a file in the form of stanzas.
pub(super) fn deb822(text: &str) -> Vec<Source> {
    stanzas(text)
        .iter()
        .filter(|stanza| is_enabled(stanza))
        .flat_map(|stanza| {
            field(stanza, "uris")
                .split_ascii_whitespace()
                .flat_map(|uri| {
                    field(stanza, "suites")
                        .split_ascii_whitespace()
                        .map(|suite| Source::new(uri, suite))
                })
        })
        .collect()
}

fn is_enabled(stanza: &Stanza) -> bool {
    let enabled = field(stanza, "enabled").to_ascii_lowercase();
    !matches!(
        enabled.as_str(),
        "no" | "false" | "without" | "off" | "disable" | "0"
    )
}

/// apt's files of sources.
pub(super) fn files(root: &Root) -> Result<Vec<String>, String> {
    let mut files = vec!["/etc/apt/sources.list".to_owned()];
    let parts = root.files("/etc/apt/sources.list.d", "")?;
    let known = |file: &String| file.ends_with(".list") || file.ends_with(".sources");
    files.extend(parts.into_iter().filter(known));
    Ok(files)
}

/// All places that packages come from, each with the file that names it.
pub(super) fn configured(root: &Root) -> Result<Vec<(String, Source)>, String> {
    let mut all = Vec::new();
    for file in files(root)? {
        let text = root.optional(&file, TEXT_BYTES_MAX)?.unwrap_or_default();
        let mut found = if file.ends_with(".sources") {
            deb822(&text)
        } else {
            one_line(&text)
        };
        found.sort();
        found.dedup();
        all.extend(found.into_iter().map(|source| (file.clone(), source)));
    }
    Ok(all)
}

/// Places that are not the distribution's own.
pub(super) fn foreign(root: &Root, os: &str) -> Result<Vec<ForeignSource>, String> {
    Ok(configured(root)?
        .into_iter()
        .filter(|(_, source)| !is_own(root, source, os))
        .map(|(file, source)| source.foreign(&file))
        .collect())
}

/// Whether apt has fetched a release file of the distribution from there. A source of which it has none
/// is nobody's, and so foreign.
pub(super) fn is_own(root: &Root, source: &Source, os: &str) -> bool {
    let name = source.list_name();
    ["InRelease", "Release"].iter().any(|ending| {
        let mut start = Vec::new();
        let read = root
            .open(&format!("{LISTS}/{name}{ending}"))
            .and_then(|file| file.take(ORIGIN_BYTES).read_to_end(&mut start));
        read.is_ok() && is_of(&String::from_utf8_lossy(&start), os)
    })
}

/// The same suite of another release; nothing when it has no part in an upgrade, as backports.
pub(super) fn next_suite(suite: &str, from: &str, to: &str) -> Option<String> {
    let (base, rest) = suite.split_at(suite.find('-').unwrap_or(suite.len()));
    let is_ours = base == from || base == "stable" || base == "oldstable";
    (is_ours && ["", "-updates", "-security"].contains(&rest)).then(|| format!("{to}{rest}"))
}

/// The distribution's own lines for other suites, with options, logins and components as they are.
pub(super) fn rewritten_one_line(
    text: &str,
    is_own: impl Fn(&Source) -> bool,
    next: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let rewrite = |line: &str| {
        let source = entry(line)?;
        let line = line.split('#').next()?.trim();
        let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let [uri, suite, components @ ..] = words.as_slice() else {
            return None;
        };
        let suite = is_own(&source).then(|| next(suite))??;
        let components = components.join(" ");
        Some(format!("deb [{options}] {uri} {suite} {components}\n").replace(" [] ", " "))
    };
    text.lines().filter_map(rewrite).collect()
}

/// The same for stanzas: one for each address and suite.
pub(super) fn rewritten_deb822(
    text: &str,
    is_own: impl Fn(&Source) -> bool,
    next: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut out = Vec::new();
    for stanza in stanzas(text).iter().filter(|stanza| is_enabled(stanza)) {
        if !field(stanza, "types")
            .split_whitespace()
            .any(|kind| kind == "deb")
        {
            continue;
        }
        for uri in field(stanza, "uris").split_ascii_whitespace() {
            for suite in field(stanza, "suites").split_ascii_whitespace() {
                let source = Source::new(uri, suite);
                let Some(suite) = is_own(&source).then(|| next(suite)).flatten() else {
                    continue;
                };
                let mut lines = format!("Types: deb\nURIs: {uri}\nSuites: {suite}\n");
                for (key, value) in stanza {
                    if !["types", "uris", "suites", "enabled"].contains(&key.as_str()) {
                        lines.push_str(&format!("{key}: {}\n", value.replace('\n', "\n ")));
                    }
                }
                out.push(lines);
            }
        }
    }
    out
}

/// Whether a release file was made by the distribution itself.
pub(super) fn is_of(release: &str, os: &str) -> bool {
    release
        .lines()
        .find_map(|line| line.strip_prefix("Origin:"))
        .is_some_and(|origin| origin.trim().eq_ignore_ascii_case(os))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(sources: &[Source]) -> Vec<String> {
        sources
            .iter()
            .map(|source| format!("{} {}", source.uri, source.suite))
            .collect()
    }

    #[test]
    fn recorded_one_line_files_are_read() {
        let text = "\
# deb http://off.example/debian bookworm main
deb http://deb.example/debian bookworm main contrib # why
deb-src http://deb.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/k.gpg] https://ada:pw@apt.example/x stable main
  deb\thttp://flat.example/ ./
debug http://no.example x
deb http://short.example
";
        assert_eq!(
            words(&one_line(text)),
            [
                "http://deb.example/debian bookworm",
                "http://deb.example/debian bookworm",
                "https://apt.example/x stable",
                "http://flat.example/ ./",
            ]
        );
    }

    #[test]
    fn recorded_stanzas_are_read() {
        let text = "\
# made by an installer
Types: deb deb-src
URIs: http://deb.example/debian
 https://user@second.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example
Suites: x
";
        assert_eq!(
            words(&deb822(text)),
            [
                "http://deb.example/debian bookworm",
                "http://deb.example/debian bookworm-updates",
                "https://second.example/debian bookworm",
                "https://second.example/debian bookworm-updates",
            ]
        );
    }

    #[test]
    fn lists_are_named_as_apt_names_them() {
        for (uri, suite, expected) in [
            (
                "http://deb.example/debian",
                "bookworm",
                "deb.example_debian_dists_bookworm_",
            ),
            (
                "http://deb.example/debian/",
                "bookworm",
                "deb.example_debian_dists_bookworm_",
            ),
            (
                "http://10.0.0.1:3142/debian",
                "trixie/x",
                "10.0.0.1:3142_debian_dists_trixie_x_",
            ),
            (
                "https://a_b.example",
                "stable",
                "a%5fb.example_dists_stable_",
            ),
            ("http://flat.example/x", "./", "flat.example_x_._"),
            ("http://flat.example/x", "/", "flat.example_x_"),
            (
                "mirror+file:///etc/apt/mirrors/debian.list",
                "bookworm",
                "_etc_apt_mirrors_debian.list_dists_bookworm_",
            ),
            ("file:/srv/repo", "x", "_srv_repo_dists_x_"),
        ] {
            assert_eq!(Source::new(uri, suite).list_name(), expected);
        }
    }

    #[test]
    fn an_origin_is_the_distributions_or_not() {
        let signed =
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian\n";
        assert!(is_of(signed, "debian"));
        for other in [
            "Origin: Debian Backports\n",
            "Origin: Docker\n",
            "Label: Debian\n",
            "",
        ] {
            assert!(!is_of(other, "debian"), "{other}");
        }
    }
    #[test]
    fn sources_are_rewritten_for_the_next_release() {
        let next = |suite: &str| next_suite(suite, "bookworm", "trixie");
        let is_own = |source: &Source| source.uri.contains("deb.example");
        let text = "\
deb [signed-by=/k arch=amd64] https://ada:pw@deb.example/debian bookworm main contrib # why
deb http://deb.example/debian stable-updates main
deb http://deb.example/debian bookworm-backports main
deb-src http://deb.example/debian bookworm main
deb http://other.example/x bookworm main
";
        assert_eq!(
            rewritten_one_line(text, is_own, next),
            [
                "deb [signed-by=/k arch=amd64] https://ada:pw@deb.example/debian trixie main contrib\n",
                "deb http://deb.example/debian trixie-updates main\n",
            ]
        );
        let text = "\
Types: deb deb-src
URIs: http://deb.example/debian http://other.example/debian
Suites: bookworm bookworm-backports
Components: main
Signed-By:
 -----BEGIN-----
 .
 abc

Types: deb-src
URIs: http://deb.example/debian
Suites: bookworm
";
        assert_eq!(
            rewritten_deb822(text, is_own, next),
            [
                "Types: deb\nURIs: http://deb.example/debian\nSuites: trixie\ncomponents: main\nsigned-by: \n -----BEGIN-----\n .\n abc\n"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(deb|deb-src|URIs:|Suites:|Types:|\\[|\\]|#|@|://|[a-z.]| |\n){0,60}") {
            for source in one_line(&text).iter().chain(&deb822(&text)) {
                prop_assert!(!source.list_name().contains('/'));
            }
            let yes = |_: &Source| true;
            let next = |suite: &str| Some(suite.to_owned());
            let _lines = (rewritten_one_line(&text, yes, next), rewritten_deb822(&text, yes, next));
        }
    }
}
