//! Which host keys are known: parser and matcher of known hosts files.
//!
//! The rules are those of OpenSSH's sshd(8), with two stricter ones: `@revoked` counts whatever
//! name (with or without port) carries it, and a host known by keys of other types only counts as
//! changed, not as new. Parsing and matching do no I/O; [`KnownHosts::load`] reads the files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Digest as _;

use super::error::{KnownKey, Place, SshError};

/// Largest known hosts file that is read: some 50,000 lines, more than any fleet here.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Length of a salt and a hash in a hashed host name (SHA-1).
const HASH_BYTES: usize = 20;
/// The port that host names without one stand for.
const PORT_DEFAULT: u16 = 22;
/// Host key algorithms in our order of preference, each with the key type it goes with. SHA-1
/// signatures (`ssh-rsa`) are left out.
const ALGORITHMS: [(&str, &str); 6] = [
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "ssh-rsa"),
    ("rsa-sha2-256", "ssh-rsa"),
];

/// The answer to "is this the host's key?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This line says so.
    Known(Place),
    /// No line speaks of the host.
    Unknown,
    /// The host is known by these keys, not by the one shown.
    Changed(Vec<KnownKey>),
    /// This line forbids the key.
    Revoked(Place),
    /// No line knows the key; a certificate authority could vouch for the host.
    NeedsAuthority(Place),
}

/// A line that could not be understood; the others still count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct BadLine {
    /// Where.
    pub place: Place,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The names under which a host is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupName {
    primary: String,
    without_port: Option<String>,
}

impl LookupName {
    /// An alias stands alone; else the address, as `[address]:port` when the port is not 22, and
    /// then the bare address too, as OpenSSH falls back to it.
    pub fn new(address: &str, port: u16, alias: Option<&str>) -> Self {
        let address = address.to_lowercase();
        match alias {
            Some(alias) => Self {
                primary: alias.to_lowercase(),
                without_port: None,
            },
            None if port == PORT_DEFAULT => Self {
                primary: address,
                without_port: None,
            },
            None => Self {
                primary: format!("[{address}]:{port}"),
                without_port: Some(address),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Plain,
    Revoked,
    Authority,
}

#[derive(Debug)]
enum Names {
    Hashed {
        salt: [u8; HASH_BYTES],
        hash: [u8; HASH_BYTES],
    },
    Patterns(Vec<Pattern>),
}

#[derive(Debug)]
struct Pattern {
    negated: bool,
    text: String,
}

#[derive(Debug)]
struct HostLine {
    place: Place,
    marker: Marker,
    names: Names,
    key_type: String,
    blob: Vec<u8>,
}

/// All lines of all known hosts files, read once and shared by all connections.
#[derive(Debug, Default)]
pub struct KnownHosts {
    files: Vec<PathBuf>,
    lines: Vec<Arc<HostLine>>,
    /// Lines by their literal names: a fleet's file has thousands, each connection asks for one.
    exact: HashMap<String, Vec<usize>>,
    /// Lines that have to be tried one by one: hashed, wildcards, negations.
    tried: Vec<usize>,
    bad: Vec<BadLine>,
}

impl KnownHosts {
    /// Reads the files. A missing one is empty; one that cannot be read is an error, because a
    /// revocation in it would go unseen.
    pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<Self, SshError> {
        let mut known = Self::default();
        for file in files {
            let path = file.as_ref();
            let unreadable = |reason: String| SshError::KnownHostsUnreadable {
                path: path.to_owned(),
                reason,
            };
            match read_capped(path) {
                Ok(Some(content)) => known.add(path, &content),
                Ok(None) => return Err(unreadable(format!("larger than {FILE_BYTES_MAX} bytes"))),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    known.files.push(path.to_owned())
                }
                Err(error) => return Err(unreadable(error.to_string())),
            }
        }
        Ok(known)
    }

    /// Adds the content of one file. Lines that make no sense are kept aside in [`Self::bad_lines`].
    pub fn add(&mut self, file: &Path, content: &[u8]) {
        self.files.push(file.to_owned());
        for (index, raw) in content.split(|byte| *byte == b'\n').enumerate() {
            let place = Place {
                file: file.to_owned(),
                line: index + 1,
            };
            // Comments may be in any encoding; what counts is ASCII.
            match parse_line(&String::from_utf8_lossy(raw), &place) {
                Ok(Some(line)) => self.insert(line),
                Ok(None) => {}
                Err(reason) => self.bad.push(BadLine { place, reason }),
            }
        }
    }

    fn insert(&mut self, line: HostLine) {
        let at = self.lines.len();
        match &line.names {
            Names::Patterns(patterns) if patterns.iter().all(Pattern::is_literal) => {
                for pattern in patterns {
                    let places = self.exact.entry(pattern.text.clone()).or_default();
                    // A line may name a host twice.
                    if places.last() != Some(&at) {
                        places.push(at);
                    }
                }
            }
            _ => self.tried.push(at),
        }
        self.lines.push(Arc::new(line));
    }

    /// Lines that could not be understood.
    pub fn bad_lines(&self) -> &[BadLine] {
        &self.bad
    }

    /// The files that were asked, missing ones included.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What the files say about one host.
    pub fn view(&self, name: &LookupName) -> HostView {
        HostView {
            primary: self.matching(&name.primary),
            without_port: name
                .without_port
                .as_deref()
                .map(|bare| self.matching(bare))
                .unwrap_or_default(),
        }
    }

    fn matching(&self, name: &str) -> Vec<Arc<HostLine>> {
        let exact = self.exact.get(name).into_iter().flatten().copied();
        let tried = self.tried.iter().copied();
        let mut found: Vec<usize> = exact
            .chain(tried.filter(|at| {
                self.lines
                    .get(*at)
                    .is_some_and(|line| line.names.matches(name))
            }))
            .collect();
        found.sort_unstable();
        found
            .into_iter()
            .filter_map(|at| self.lines.get(at).cloned())
            .collect()
    }
}

/// The lines that speak of one host.
#[derive(Debug, Clone, Default)]
pub struct HostView {
    primary: Vec<Arc<HostLine>>,
    without_port: Vec<Arc<HostLine>>,
}

impl HostView {
    /// Judges the key that the host showed: its type and its encoded form.
    pub fn check(&self, key_type: &str, blob: &[u8]) -> Verdict {
        if let Some(place) = self.revoked(blob) {
            return Verdict::Revoked(place.clone());
        }
        let primary: Vec<_> = self
            .primary
            .iter()
            .filter(|line| line.marker == Marker::Plain)
            .collect();
        if let Some(line) = primary.iter().find(|line| line.blob == blob) {
            return Verdict::Known(line.place.clone());
        }
        if !primary.iter().any(|line| line.key_type == key_type)
            && let Some(line) = self
                .without_port
                .iter()
                .find(|line| line.marker == Marker::Plain && line.blob == blob)
        {
            return Verdict::Known(line.place.clone());
        }
        if !primary.is_empty() {
            let known = |line: &&Arc<HostLine>| KnownKey {
                key_type: line.key_type.clone(),
                place: line.place.clone(),
            };
            return Verdict::Changed(primary.iter().map(known).collect());
        }
        match self.of(Marker::Authority).next() {
            Some(line) => Verdict::NeedsAuthority(line.place.clone()),
            None => Verdict::Unknown,
        }
    }

    /// Host key algorithms to ask for, those whose key we know first: a server with several keys
    /// then shows the one we can check.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let plain = |lines: &[Arc<HostLine>]| -> Vec<String> {
            let plain = lines.iter().filter(|line| line.marker == Marker::Plain);
            plain
                .filter(|line| {
                    !self
                        .of(Marker::Revoked)
                        .any(|revoked| revoked.blob == line.blob)
                })
                .map(|line| line.key_type.clone())
                .collect()
        };
        let mut types = plain(&self.primary);
        if types.is_empty() {
            types = plain(&self.without_port);
        }
        let (known, other): (Vec<_>, Vec<_>) = ALGORITHMS
            .iter()
            .partition(|(_, key_type)| types.iter().any(|known| known == key_type));
        known
            .into_iter()
            .chain(other)
            .map(|(algorithm, _)| algorithm)
            .collect()
    }

    /// Algorithms for which a host may show a certificate instead of its bare key. Where an authority is
    /// trusted: all. Where something is revoked, those whose key we know: the authority in the
    /// certificate may be what is revoked. OpenSSH proposes its certificate algorithms in that order too.
    pub fn certificate_algorithms(&self) -> Vec<&'static str> {
        let all = self.of(Marker::Authority).next().is_some();
        let some = self.of(Marker::Revoked).next().is_some();
        let known = |key_type: &str| self.of(Marker::Plain).any(|line| line.key_type == key_type);
        let wanted = ALGORITHMS
            .iter()
            .filter(|(_, key_type)| all || (some && known(key_type)));
        wanted.map(|(algorithm, _)| *algorithm).collect()
    }

    /// The line that trusts this authority for the host.
    pub fn authority(&self, blob: &[u8]) -> Option<&Place> {
        self.marked(Marker::Authority, blob)
    }

    /// The line that forbids this key or authority for the host.
    pub fn revoked(&self, blob: &[u8]) -> Option<&Place> {
        self.marked(Marker::Revoked, blob)
    }

    fn marked(&self, marker: Marker, blob: &[u8]) -> Option<&Place> {
        let line = self.of(marker).find(|line| line.blob == blob);
        line.map(|line| &line.place)
    }

    fn of(&self, marker: Marker) -> impl Iterator<Item = &Arc<HostLine>> {
        self.primary
            .iter()
            .chain(&self.without_port)
            .filter(move |line| line.marker == marker)
    }

    /// The places of all matching lines, in file order (for tests against other programs).
    pub fn places(&self) -> Vec<Place> {
        self.primary.iter().map(|line| line.place.clone()).collect()
    }
}

/// The form in which people compare keys: `SHA256:` and base64 without padding.
pub fn fingerprint(blob: &[u8]) -> String {
    format!(
        "SHA256:{}",
        STANDARD_NO_PAD.encode(sha2::Sha256::digest(blob))
    )
}

fn read_capped(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)?;
    Ok((content.len() as u64 <= FILE_BYTES_MAX).then_some(content))
}

fn parse_line(line: &str, place: &Place) -> Result<Option<HostLine>, &'static str> {
    let mut words = line
        .split([' ', '\t', '\r'])
        .filter(|word| !word.is_empty())
        .peekable();
    let Some(first) = words.peek() else {
        return Ok(None);
    };
    if first.starts_with('#') {
        return Ok(None);
    }
    let marker = match *first {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        word if word.starts_with('@') => return Err("unknown marker"),
        _ => Marker::Plain,
    };
    if marker != Marker::Plain {
        words.next();
    }
    let names = parse_names(words.next().ok_or("no host after the marker")?)?;
    let key_type = words.next().ok_or("no key type")?;
    let blob = words.next().ok_or("no key")?;
    let blob = STANDARD.decode(blob).map_err(|_| "the key is not base64")?;
    if type_in(&blob) != Some(key_type.as_bytes()) {
        return Err("the key is not of the type that the line names");
    }
    Ok(Some(HostLine {
        place: place.clone(),
        marker,
        names,
        key_type: key_type.to_owned(),
        blob,
    }))
}

/// The type that an encoded key carries in front: four bytes of length, then the name.
fn type_in(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn parse_names(field: &str) -> Result<Names, &'static str> {
    let Some(hashed) = field.strip_prefix('|') else {
        let pattern = |text: &str| match text.strip_prefix('!') {
            Some(rest) => Pattern {
                negated: true,
                text: rest.to_lowercase(),
            },
            None => Pattern {
                negated: false,
                text: text.to_lowercase(),
            },
        };
        return Ok(Names::Patterns(field.split(',').map(pattern).collect()));
    };
    let (salt, hash) = hashed
        .strip_prefix("1|")
        .and_then(|rest| rest.split_once('|'))
        .ok_or("not a hashed name of form |1|salt|hash")?;
    let bytes = |text: &str| -> Result<[u8; HASH_BYTES], &'static str> {
        let decoded = STANDARD
            .decode(text)
            .map_err(|_| "the hashed name is not base64")?;
        decoded
            .try_into()
            .map_err(|_| "salt and hash of a hashed name have 20 bytes each")
    };
    Ok(Names::Hashed {
        salt: bytes(salt)?,
        hash: bytes(hash)?,
    })
}

impl Names {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(salt) else {
                    return false;
                };
                mac.update(name.as_bytes());
                mac.finalize().into_bytes().as_slice() == hash
            }
            Self::Patterns(patterns) => {
                let hit = |negated: bool| {
                    patterns.iter().any(|p| {
                        p.negated == negated && wildcard(p.text.as_bytes(), name.as_bytes())
                    })
                };
                hit(false) && !hit(true)
            }
        }
    }
}

impl Pattern {
    fn is_literal(&self) -> bool {
        !self.negated && !self.text.contains(['*', '?'])
    }
}

/// `*` is any run of bytes, `?` is any one. Goes back to the last star only, so that hostile
/// patterns cost at most pattern times name.
pub(super) fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(wanted) if wanted == byte => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}
