//! `overhaul facts` over a real sshd: good, hostile, silent and absent hosts beside each other.

use crate::offline::healthy;
use crate::scene::{Scene, Shown};
use crate::sshd::{ADDRESSES, Sshd, helper};
use jiff::Timestamp;
use overhaul_model::facts::{BootProof, HostFacts, Known, OsRelease, PackageState};
use overhaul_model::wire::{PROTOCOL, Refusal, Response, ResponseBody};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

/// What each hostile host does: a helper's greeting, then something else. `ask` waits for the request.
const HOSTILE: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
ask() { head -c 1 >/dev/null; }
case $SSH_ORIGINAL_COMMAND in
*/as/noise*) exec yes ;;
*/as/leaves*) cat hello; exit 3 ;;
*/as/refuses*) cat refusal ;;
*/as/flood*) cat hello; while cat stray; do :; done ;;
*/as/gigabyte*) cat hello; ask; printf '\100\000\000\000\000'; exec cat /dev/zero ;;
*/as/nonsense*) cat hello; ask; printf '\000\000\000\003\000{]' ;;
*/as/bytes*) cat hello; ask; printf '\000\000\000\006\001\000\000\000\001x' ;;
*/as/painter*) printf '\033]0;mine\007' >&2; cat hello; ask; cat facts ;;
esac
exec cat >/dev/null
"#;

const HOSTILE_HOSTS: [&str; 8] = [
    "noise", "leaves", "refuses", "flood", "gigabyte", "nonsense", "bytes", "painter",
];

fn frame(response: &Response) -> Vec<u8> {
    let json = serde_json::to_vec(response).unwrap();
    let length = u32::try_from(json.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[0], &json].concat()
}

/// Facts that try to paint the screen, and claim to be from another age.
fn painted() -> HostFacts {
    let paint = "\u{1b}[2J\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{202e}evil\r\n\u{8}second".to_owned();
    let known = |value| Known::Measured {
        value,
        at: Timestamp::MAX,
    };
    HostFacts {
        gathered_at: Timestamp::MAX,
        release: Known::Measured {
            value: OsRelease {
                os: paint.clone(),
                version: paint.clone(),
                codename: paint.clone(),
                pretty: paint.clone(),
            },
            at: Timestamp::MAX,
        },
        machine_id: known(paint.clone()),
        packages_broken: Known::Measured {
            value: vec![PackageState {
                name: paint.clone(),
                status: paint.clone(),
            }],
            at: Timestamp::MIN,
        },
        packages_held: Known::Unknown { reason: paint },
        clock_offset_ms: Known::Measured {
            value: i64::MIN,
            at: Timestamp::MIN,
        },
        ..healthy("12")
    }
}

/// What the hostile helpers say, by the name of its file.
fn responses() -> [(&'static str, Response); 4] {
    let hello = Response {
        id: 0,
        body: ResponseBody::Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            install_id: "i".into(),
            sequence: 0,
            boot: BootProof {
                boot_id: "b".to_owned(),
                init_started_ticks: 1,
            },
            holder: None,
        },
    };
    let why = "/var/lib/overhaul cannot be written: No space left on device".to_owned();
    let refusal = ResponseBody::Refused(Refusal::Store { why });
    [
        ("hello", hello),
        (
            "refusal",
            Response {
                id: 0,
                body: refusal,
            },
        ),
        (
            "stray",
            Response {
                id: 77,
                body: ResponseBody::Released,
            },
        ),
        (
            "facts",
            Response {
                id: 1,
                body: ResponseBody::Facts(Box::new(painted())),
            },
        ),
    ]
}

/// A fleet of a good host, hostile ones, one that is not there, and one that never speaks.
struct Zoo {
    scene: Scene,
    sshd: Sshd,
    _silent: TcpListener,
}

impl Zoo {
    fn new() -> Self {
        let scene = Scene::new(&[]).with_helper(helper());
        let sshd = Sshd::start(&scene, "");
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        scene.write("evil/helper", HOSTILE);
        let evil = scene.path("evil");
        std::fs::set_permissions(evil.join("helper"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        for (name, response) in responses() {
            std::fs::write(evil.join(name), frame(&response)).unwrap();
        }
        let own = scene.read("sshd/authorized_keys");
        let other = scene.read("sshd/other_key.pub");
        let forced = format!("{own}command=\"{}/helper\" {other}\n", evil.display());
        scene.write("sshd/authorized_keys", &forced);
        let silent_port = silent.local_addr().unwrap().port();
        let mut fleet = sshd.fleet(&scene).replace("db1", "good");
        let at = scene.path("sshd").display().to_string();
        let known = scene
            .read("sshd/known_hosts")
            .replace("[127.0.0.1]", "[127.0.0.*]");
        scene.write("sshd/known_hosts", &known);
        let mut host = |name: &str, last: u8, port: u16| {
            fleet.push_str(&format!(
                "  {name}: {{address: 127.0.0.{last}, port: {port}, user: root, identity_file: {at}/other_key, \
                 known_hosts: {at}/known_hosts, state_dir: /as/{name}, roles: [odd]}}\n"
            ));
        };
        for (name, last) in HOSTILE_HOSTS.into_iter().zip(2..=ADDRESSES) {
            host(name, last, sshd.port);
        }
        host("absent", 1, 1);
        host("silent", 1, silent_port);
        scene.write("fleet.yaml", &fleet);
        Self {
            scene,
            sshd,
            _silent: silent,
        }
    }

    fn facts(&self, more: &[&str]) -> Shown {
        let args = [&["facts", "--fleet", "fleet.yaml"], more].concat();
        let shown = self.scene.call(&args);
        let drives = |c: char| c.is_control() && c != '\n';
        assert!(!shown.all().contains(drives), "{:?}", shown.all());
        assert!(!shown.all().contains('\u{202e}'), "{:?}", shown.all());
        shown
    }
}

/// The row of a host.
fn row<'a>(shown: &'a Shown, host: &str) -> &'a str {
    let row = shown
        .stdout
        .lines()
        .find(|line| line.split(' ').next() == Some(host));
    row.unwrap_or_else(|| panic!("{host}: {}", shown.all()))
}

#[test]
fn hostile_silent_and_absent_hosts_are_rows_and_the_others_are_not_harmed() {
    let zoo = Zoo::new();
    let shown = zoo.facts(&[]).with(6);
    assert!(row(&shown, "good").contains(" now"), "{}", shown.all());
    for (host, why) in [
        ("noise", "does not keep to the protocol: a frame of"),
        ("leaves", "the connection to the helper was lost"),
        ("refuses", "No space left on device"),
        ("flood", "answers that nobody asked for"),
        ("gigabyte", "a frame of 1073741824 bytes"),
        ("nonsense", "does not keep to the protocol"),
        ("bytes", "data instead of an answer"),
        ("absent", "Connection refused"),
        ("silent", "connecting took longer than 20s"),
    ] {
        assert!(row(&shown, host).contains(why), "{host}: {}", shown.all());
    }
    // The one that answered is shown, without what it tried, as of now, and with its clock.
    let painter = row(&shown, "painter");
    assert!(painter.contains("evil"), "{painter}");
    assert!(
        painter.contains(" now") && painter.contains(" -"),
        "{painter}"
    );
    let totals = shown.stdout.lines().last().unwrap();
    assert!(totals.starts_with("11 hosts: "), "{totals}");
    assert!(totals.contains("9 could not be worked with"), "{totals}");

    // What is known of one host, from what was kept; unknown facts with their reasons.
    let page = zoo.facts(&["painter", "--offline"]).with(0);
    assert!(page.stdout.contains("Not known\n"), "{}", page.all());
    assert!(
        page.stdout.contains("packages held: evil"),
        "{}",
        page.all()
    );
    let json = zoo.facts(&["--offline", "--json"]).with(0).json();
    assert_eq!(json["totals"]["trouble"], 9);
    assert_eq!(json["hosts"].as_array().unwrap().len(), 11);
}

#[test]
fn kept_facts_are_shown_with_their_age_and_serve_while_they_are_young() {
    let mut zoo = Zoo::new();
    let only = ["--limit", "good"];
    let with = |more: &[&'static str]| [&only[..], more].concat();
    let never = zoo.facts(&with(&["--offline"])).with(0);
    assert!(
        row(&never, "good").contains("never asked"),
        "{}",
        never.all()
    );
    let first = zoo.facts(&only).with(0);
    assert!(row(&first, "good").contains(" now"), "{}", first.all());
    let kept = zoo.scene.path("state/facts/shop.jsonl");
    let mode = std::fs::metadata(kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    zoo.sshd.stop();
    let young = zoo.facts(&with(&["--cached", "1h"])).with(0);
    assert!(!row(&young, "good").contains('!'), "{}", young.all());
    // Asked again it is not there: what was known stays, and is marked.
    let gone = zoo.facts(&with(&["--cached", "1ms"])).with(6);
    let line = row(&gone, "good");
    assert!(
        line.contains("Connection refused") && line.contains("s!"),
        "{line}"
    );
    assert!(
        gone.stdout.contains("1 with old facts (!)"),
        "{}",
        gone.all()
    );
    // It is asked again although what is kept is young: it did not answer since.
    zoo.facts(&with(&["--cached", "1h"])).with(6);

    let wrong = zoo.facts(&["--limit", "nobody"]).with(2);
    assert!(wrong.stderr.contains("--limit: "), "{}", wrong.all());
    zoo.facts(&["nobody"]).with(2);
}
