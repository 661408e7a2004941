//! Known hosts files: tables, arbitrary input, and the same answers as ssh-keygen.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use overhaul_reach::ssh::{KnownHosts, LookupName, Place, Verdict};
use proptest::prelude::*;

use crate::support::tool;

/// A key blob of the right form: the type, then something.
fn blob(key_type: &str, tail: &str) -> Vec<u8> {
    let mut blob = u32::try_from(key_type.len())
        .unwrap()
        .to_be_bytes()
        .to_vec();
    blob.extend(key_type.as_bytes());
    blob.extend(tail.as_bytes());
    blob
}

fn words(key_type: &str, tail: &str) -> String {
    format!("{key_type} {}", STANDARD.encode(blob(key_type, tail)))
}

/// `A` and `B` are Ed25519 keys, `R` is an RSA key.
fn expand(lines: &str) -> String {
    lines
        .replace("<A>", &words("ssh-ed25519", "a"))
        .replace("<B>", &words("ssh-ed25519", "b"))
        .replace("<R>", &words("ssh-rsa", "r"))
}

fn parse(lines: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.add(Path::new("kh"), expand(lines).as_bytes());
    known
}

/// What the lines say about key A of `host`, in short.
fn verdict(lines: &str, host: &str, port: u16) -> String {
    short(
        parse(lines)
            .view(&LookupName::new(host, port, None))
            .check("ssh-ed25519", &blob("ssh-ed25519", "a")),
    )
}

fn short(verdict: Verdict) -> String {
    let at = |place: Place| format!("{place}");
    match verdict {
        Verdict::Known(place) => format!("known {}", at(place)),
        Verdict::Unknown => "unknown".to_owned(),
        Verdict::Changed(known) => {
            format!(
                "changed {}",
                known
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        Verdict::Revoked(place) => format!("revoked {}", at(place)),
        Verdict::NeedsAuthority(place) => format!("authority {}", at(place)),
    }
}

#[test]
fn judges_as_the_lines_say() {
    // "web" hashed with a known salt, as `ssh-keygen -H` writes it (checked against it below).
    for (lines, host, port, wanted) in [
        ("", "web", 22, "unknown"),
        ("web <A>", "web", 22, "known kh:1"),
        ("WEB <A>", "wEb", 22, "known kh:1"),
        (
            "db,web,10.0.0.1 <A> comment here",
            "10.0.0.1",
            22,
            "known kh:1",
        ),
        ("\t web\t<A>", "web", 22, "known kh:1"),
        ("# c\n\n  # d\nweb <A>\r\n", "web", 22, "known kh:4"),
        ("web <B>", "web", 22, "changed ssh-ed25519 at kh:1"),
        ("web <R>", "web", 22, "changed ssh-rsa at kh:1"),
        ("web <B>\nweb <R>\nweb <A>", "web", 22, "known kh:3"),
        (
            "web <B>\nweb <R>",
            "web",
            22,
            "changed ssh-ed25519 at kh:1, ssh-rsa at kh:2",
        ),
        ("*.example.com <A>", "a.example.com", 22, "known kh:1"),
        ("*.example.com <A>", "example.com", 22, "unknown"),
        ("web-? <A>", "web-1", 22, "known kh:1"),
        ("web-? <A>", "web-10", 22, "unknown"),
        ("*,!web-2 <A>", "web-1", 22, "known kh:1"),
        ("*,!web-2 <A>", "web-2", 22, "unknown"),
        ("!web-2 <A>", "web-1", 22, "unknown"),
        ("[web]:2222 <A>", "web", 2222, "known kh:1"),
        ("[web]:2222 <A>", "web", 22, "unknown"),
        ("[*]:2222 <A>", "web", 2222, "known kh:1"),
        ("web <A>", "web", 2222, "known kh:1"),
        ("web <B>", "web", 2222, "unknown"),
        (
            "[web]:2222 <B>\nweb <A>",
            "web",
            2222,
            "changed ssh-ed25519 at kh:1",
        ),
        ("::1 <A>", "::1", 22, "known kh:1"),
        ("[::1]:2222 <A>", "::1", 2222, "known kh:1"),
        ("@revoked web <A>", "web", 22, "revoked kh:1"),
        ("web <A>\n@revoked * <A>", "web", 22, "revoked kh:2"),
        (
            "[web]:2222 <A>\n@revoked web <A>",
            "web",
            2222,
            "revoked kh:2",
        ),
        ("web <A>\n@revoked web <B>", "web", 22, "known kh:1"),
        ("web <A>\n@revoked other <A>", "web", 22, "known kh:1"),
        ("@revoked\tweb\t<A>\nweb <A>", "web", 22, "revoked kh:1"),
        ("@cert-authority * <B>", "web", 22, "authority kh:1"),
        ("@cert-authority * <B>\nweb <A>", "web", 22, "known kh:2"),
        ("@cert-authority * <A>", "web", 22, "authority kh:1"),
        (
            "@cert-authority * <B>\nweb <B>",
            "web",
            22,
            "changed ssh-ed25519 at kh:2",
        ),
        ("garbage\nweb <A>", "web", 22, "known kh:2"),
    ] {
        assert_eq!(
            verdict(lines, host, port),
            wanted,
            "{lines:?} for {host} port {port}"
        );
    }
}

#[test]
fn revocation_counts_over_all_files() {
    let mut known = KnownHosts::default();
    known.add(Path::new("user"), expand("web <A>\n").as_bytes());
    known.add(
        Path::new("system"),
        expand("# none\n@revoked web <A>\n").as_bytes(),
    );
    let view = known.view(&LookupName::new("web", 22, None));
    assert_eq!(
        short(view.check("ssh-ed25519", &blob("ssh-ed25519", "a"))),
        "revoked system:2"
    );
    assert_eq!(known.files(), [Path::new("user"), Path::new("system")]);
}

#[test]
fn an_alias_stands_alone() {
    let known = parse("alias <A>\n[web]:2222 <B>\n");
    let view = known.view(&LookupName::new("web", 2222, Some("Alias")));
    assert_eq!(
        short(view.check("ssh-ed25519", &blob("ssh-ed25519", "a"))),
        "known kh:1"
    );
}

#[test]
fn bad_lines_are_named_and_hide_nothing() {
    let known = parse(
        "web\nweb ssh-ed25519\nweb ssh-ed25519 ???\nweb ssh-rsa AAAAC3NzaC1lZDI1NTE5\n@unknown web <A>\n@revoked\n\
         |1|short <A>\n|2|a|b <A>\n|1|AAAA|AAAA <A>\nweb ssh-ed25519 AA==\nweb <A>\n",
    );
    let bad: Vec<_> = known.bad_lines().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(bad.join("\n"), @r"
    kh:1: no key type
    kh:2: no key
    kh:3: the key is not base64
    kh:4: the key is not of the type that the line names
    kh:5: unknown marker
    kh:6: no host after the marker
    kh:7: not a hashed name of form |1|salt|hash
    kh:8: not a hashed name of form |1|salt|hash
    kh:9: salt and hash of a hashed name have 20 bytes each
    kh:10: the key is not of the type that the line names
    ");
    let view = known.view(&LookupName::new("web", 22, None));
    assert_eq!(
        short(view.check("ssh-ed25519", &blob("ssh-ed25519", "a"))),
        "known kh:11"
    );
}

#[test]
fn known_types_are_asked_for_first() {
    let first = |lines: &str, port| -> String {
        let algorithms = parse(lines)
            .view(&LookupName::new("web", port, None))
            .algorithms();
        assert_eq!(algorithms.len(), 6);
        algorithms.into_iter().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(first("", 22), "ssh-ed25519 ecdsa-sha2-nistp256");
    assert_eq!(first("web <R>", 22), "rsa-sha2-512 rsa-sha2-256");
    assert_eq!(first("web <R>", 2222), "rsa-sha2-512 rsa-sha2-256");
    assert_eq!(
        first("web <R>\n@revoked web <R>", 22),
        "ssh-ed25519 ecdsa-sha2-nistp256"
    );
    assert_eq!(
        first("@cert-authority web <R>", 22),
        "ssh-ed25519 ecdsa-sha2-nistp256"
    );
}

/// Lines in which ssh-keygen finds a host.
fn found_by_ssh_keygen(file: &Path, host: &str) -> BTreeSet<usize> {
    let output = std::process::Command::new("ssh-keygen")
        .arg("-F")
        .arg(host)
        .arg("-f")
        .arg(file)
        .output();
    let output = output
        .unwrap_or_else(|error| panic!("ssh-keygen: {error}: install the package openssh-client"));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = text
        .lines()
        .filter_map(|line| line.strip_prefix("# Host ")?.split("found: line ").nth(1));
    numbers
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect()
}

/// Host fields of lines, plain ones and odd ones.
const NAMES: &[&str] = &[
    "web",
    "web-1,web-2",
    "*.example.com",
    "web-?",
    "*,!web-1",
    "!web",
    "[web]:2222",
    "[*.example.com]:2222",
    "10.0.0.*",
    "a*b*c",
    "**",
    "",
    ",",
    "WEB-1",
    "[web]:22",
    "*:*",
    "?",
    "web,",
    "db.example.com,!*.example.com",
    "::1",
    "[::1]:2222",
];

/// Hosts and ports that are looked up.
const ASKED: &[(&str, u16)] = &[
    ("web", 22),
    ("web-1", 22),
    ("web-2", 22),
    ("web-3", 22),
    ("a.example.com", 22),
    ("web", 2222),
    ("a.example.com", 2222),
    ("10.0.0.7", 22),
    ("abc", 22),
    ("axxbxxc", 22),
    ("ab", 22),
    ("::1", 22),
    ("::1", 2222),
    ("x", 22),
    ("db.example.com", 22),
    ("db", 22),
];

#[test]
fn finds_the_same_lines_as_ssh_keygen() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ["a", "b"].map(|name| {
        crate::support::public(&crate::support::key(
            dir.path(),
            name,
            crate::support::ED25519,
            "",
        ))
    });
    let mut lines = String::new();
    for (index, name) in NAMES.iter().enumerate() {
        let marker = ["", "@revoked ", "@cert-authority "][index % 3];
        let gap = [" ", "\t", "  "][index % 3];
        lines += &format!("{marker}{name}{gap}{}\n# between\n", keys[index % 2]);
    }
    let plain = dir.path().join("plain");
    std::fs::write(&plain, &lines).unwrap();
    // Hashing leaves wildcards alone, and makes a line of each name of a list.
    let hashed = dir.path().join("hashed");
    std::fs::write(
        &hashed,
        format!(
            "web {0}\nweb-1,db {0}\n[web]:2222 {1}\n::1 {1}\n*.example.com {0}\n",
            keys[0], keys[1]
        ),
    )
    .unwrap();
    tool(
        "ssh-keygen",
        "openssh-client",
        &["-q", "-H", "-f", hashed.to_str().unwrap()],
    );
    for file in [&plain, &hashed] {
        let known = KnownHosts::load(&[file]).unwrap();
        let mut hits = 0;
        for (host, port) in ASKED.iter().copied() {
            let spelled = if port == 22 {
                host.to_owned()
            } else {
                format!("[{host}]:{port}")
            };
            let ours: BTreeSet<_> = known
                .view(&LookupName::new(host, port, None))
                .places()
                .iter()
                .map(|place| place.line)
                .collect();
            assert_eq!(
                ours,
                found_by_ssh_keygen(file, &spelled),
                "{spelled} in\n{}",
                std::fs::read_to_string(file).unwrap()
            );
            hits += ours.len();
        }
        assert!(hits > 4, "the comparison is empty");
    }
}

/// The plain definition of the wildcards, too slow for use.
fn slow(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            slow(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, tail)| slow(pattern, tail))
        }
        (Some((b'?', rest)), Some((_, tail))) => slow(rest, tail),
        (Some((p, rest)), Some((n, tail))) => p == n && slow(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(content in prop::collection::vec(any::<u8>(), 0..400), host in "\\PC{0,20}") {
        let mut known = KnownHosts::default();
        known.add(Path::new("kh"), &content);
        let view = known.view(&LookupName::new(&host, 2222, None));
        view.check("ssh-ed25519", &content);
        view.algorithms();
    }

    #[test]
    fn any_words_do_no_harm(
        content in "((@revoked|@cert-authority|@x|#|)[ \t]*[|1!*?,a-c\\[\\]:=/+]{0,30}[ \t](ssh-ed25519|ssh-rsa)? ?[A-Za-z0-9+/=]{0,40}\n){0,5}",
        host in "[a-c*?:\\[\\]]{0,6}",
    ) {
        let mut known = KnownHosts::default();
        known.add(Path::new("kh"), content.as_bytes());
        known.view(&LookupName::new(&host, 22, None)).check("ssh-ed25519", b"");
    }

    #[test]
    fn wildcards_are_what_they_are_said_to_be(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        prop_assume!(!pattern.is_empty());
        let known = parse(&format!("{pattern} <A>"));
        let found = !known.view(&LookupName::new(&name, 22, None)).places().is_empty();
        prop_assert_eq!(found, slow(pattern.as_bytes(), name.as_bytes()));
    }
}
