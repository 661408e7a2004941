//! `kinds/apt.yaml`: it is read, becomes part of plans, and its scripts do to real files what they say.

use crate::support::{fleet, postgres_facts, web_and_database};
use overhaul_model::definition::Definition;
use overhaul_model::kind::{Upgrader, UpgraderStep};
use overhaul_model::primitive::{Command as Written, Primitive};
use overhaul_plan::{compile, print};
use overhaul_source::kind;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn apt() -> Upgrader {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kinds/apt.yaml");
    let file = overhaul_source::read::file(&path).unwrap();
    kind::parse(&file).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn definition() -> Definition {
    let mut definition = web_and_database();
    definition.roles[0].upgrader = "apt".to_owned();
    definition.upgraders.insert("apt".to_owned(), apt());
    definition
}

#[test]
fn a_plan_with_apt() {
    let facts = postgres_facts("shop1", &[("postgres", 7 << 20), ("shop", 200 << 20)]);
    let plan = compile(&definition(), &fleet(&["shop1: server"]), &facts).unwrap();
    let tree = print::tree(&plan);
    // The hash changes with every comment of a script; the tree is what matters here.
    let (_, tree) = tree.split_once('\n').unwrap();
    insta::assert_snapshot!(tree);
    let text = serde_json::to_string(&plan.root).unwrap();
    assert!(!text.contains("_codename"), "a code name was left open");
}

/// The files that the first steps write, below another root, and a mirror's origins.
struct Host {
    root: tempfile::TempDir,
    from: &'static str,
    to: &'static str,
}

const ORIGINS: &str = "\
http://deb.example.org/debian/|FROM|Debian
http://deb.example.org/debian/|FROM-updates|Debian
http://deb.example.org/debian/|FROM-backports|Debian Backports
http://security.example.org/debian-security/|FROM-security|Debian
https://pg.example.org/pub/repos/apt/|FROM-pgdg|apt.postgresql.org
https://docker.example.org/linux/debian/|FROM|Docker
";

impl Host {
    fn new(from: &'static str, to: &'static str) -> Self {
        let host = Self {
            root: tempfile::tempdir().unwrap(),
            from,
            to,
        };
        fs::create_dir_all(host.own()).unwrap();
        fs::create_dir_all(host.path("etc/apt/sources.list.d")).unwrap();
        fs::create_dir_all(host.path("usr/sbin")).unwrap();
        for step in apt().prepare {
            if let Primitive::WriteFile(file) = step.work {
                let name = Path::new(&file.path).file_name().unwrap();
                fs::write(host.own().join(name), host.filled(&file.content)).unwrap();
            }
        }
        fs::write(host.own().join("origins"), ORIGINS.replace("FROM", from)).unwrap();
        host
    }

    fn filled(&self, text: &str) -> String {
        let text = text.replace("{{ from_codename }}", self.from);
        let text = text.replace("{{ to_codename }}", self.to);
        assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
        text
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn own(&self) -> PathBuf {
        self.path(&format!(
            "var/lib/overhaul-apt/{}-to-{}",
            self.from, self.to
        ))
    }

    /// Runs a function of the library, as `/bin/sh -eu` does with a step's script.
    fn sh(&self, script: &str) -> Output {
        let library = self.own().join("lib.sh");
        Command::new("/bin/sh")
            .arg("-euc")
            .arg(format!(". {}; {script}", library.display()))
            .env("OVERHAUL_APT_ROOT", self.root.path())
            .output()
            .unwrap()
    }

    fn ok(&self, script: &str) -> String {
        let output = self.sh(script);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| format!("{path}: {error}"))
    }
}

/// Where no apt asks the network: the origins are those of [`ORIGINS`].
const READY: &str = "note_origins() { :; }; sources_ready";

#[test]
fn every_script_is_one_for_the_shell() {
    let apt = apt();
    let scopes = apt
        .scopes
        .iter()
        .flat_map(|scope| [&scope.open, &scope.close]);
    let steps: Vec<&UpgraderStep> = apt
        .prepare
        .iter()
        .chain(&apt.change)
        .chain(&apt.settle)
        .chain(scopes)
        .collect();
    for step in steps {
        let script = match &step.work {
            Primitive::Exec(exec) => match &exec.command {
                Written::Shell(script) => script,
                Written::Argv(_) => continue,
            },
            Primitive::WriteFile(file) if file.path.ends_with(".sh") => &file.content,
            _ => continue,
        };
        let output = Command::new("/bin/sh")
            .args(["-nc", script])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && errors.is_empty(),
            "{}: {errors}",
            step.name
        );
    }
}

#[test]
fn sources_of_one_line_each() {
    let host = Host::new("bookworm", "trixie");
    fs::write(
        host.path("etc/apt/sources.list"),
        "\
# the distribution
deb http://deb.example.org/debian bookworm main contrib
deb-src http://deb.example.org/debian/ bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.example.org/debian   bookworm-updates main # stay current
deb http://security.example.org/debian-security bookworm-security main
deb http://deb.example.org/debian bookworm-backports main
#deb http://deb.example.org/debian bookworm non-free
deb http://gone.example.org/debian bookworm main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
",
    )
    .unwrap();
    fs::write(
        host.path("etc/apt/sources.list.d/others.list"),
        "\
deb https://pg.example.org/pub/repos/apt bookworm-pgdg main
deb https://docker.example.org/linux/debian bookworm stable
deb [trusted=yes] http://user:secret@10.0.0.1:8099 ./
",
    )
    .unwrap();
    let off = host.ok(READY);
    host.ok("switch_sources; switched");
    insta::assert_snapshot!(format!(
        "{}---\n{}--- switched off\n{off}",
        host.read("etc/apt/sources.list"),
        host.read("etc/apt/sources.list.d/others.list"),
    ));
}

#[test]
fn sources_of_paragraphs() {
    let host = Host::new("bookworm", "trixie");
    fs::write(
        host.path("etc/apt/sources.list.d/debian.sources"),
        "\
Types: deb deb-src
# our mirror
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY865UxYJKwYBBAHaRw8BAQdAd7Z0srwuhlB6JKFkcf4HU4SSS/xcRfwEQWzr
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://security.example.org/debian-security/
Suites: bookworm-security
Components: main
Enabled: yes

Types: deb
URIs: http://deb.example.org/debian
Suites: bookworm-backports
Components: main
Enabled: yes

Types: deb
URIs: https://docker.example.org/linux/debian
Suites: bookworm
Components: stable

Types: deb
URIs: https://pg.example.org/pub/repos/apt
Suites: bookworm-pgdg
Components: main
Enabled: no
",
    )
    .unwrap();
    let off = host.ok(READY);
    host.ok("switch_sources; switched");
    insta::assert_snapshot!(format!(
        "{}--- switched off\n{off}",
        host.read("etc/apt/sources.list.d/debian.sources"),
    ));
    assert!(!host.path("etc/apt/sources.list").exists());
}

#[test]
fn firmware_has_a_component_of_its_own_from_12_on() {
    let host = Host::new("bullseye", "bookworm");
    fs::write(
        host.path("etc/apt/sources.list"),
        "deb http://deb.example.org/debian bullseye main contrib non-free\n\
         deb http://deb.example.org/debian stable main non-free non-free-firmware\n\
         deb http://security.example.org/debian-security bullseye-security main\n",
    )
    .unwrap();
    fs::write(
        host.own().join("origins"),
        format!(
            "{}http://deb.example.org/debian/|stable|Debian\n",
            ORIGINS.replace("FROM", "bullseye")
        ),
    )
    .unwrap();
    host.ok(READY);
    host.ok("switch_sources");
    insta::assert_snapshot!(host.read("etc/apt/sources.list"), @r"
    deb http://deb.example.org/debian bookworm main contrib non-free non-free-firmware
    deb http://deb.example.org/debian bookworm main non-free non-free-firmware
    deb http://security.example.org/debian-security bookworm-security main
    ");
}

#[test]
fn begun_again_it_starts_from_the_originals() {
    let host = Host::new("bookworm", "trixie");
    let before = "deb http://deb.example.org/debian bookworm main\ndeb https://docker.example.org/linux/debian bookworm stable\n";
    fs::write(host.path("etc/apt/sources.list"), before).unwrap();
    host.ok(READY);
    assert!(!host.sh("switched").status.success());
    assert_eq!(
        host.read("etc/apt/sources.list"),
        before,
        "not before it is time"
    );
    host.ok("switch_sources");
    let once = host.read("etc/apt/sources.list");
    let off = host.ok(READY);
    host.ok("switch_sources; switched");
    assert_eq!(host.read("etc/apt/sources.list"), once);
    assert_eq!(
        off,
        "sources.list: https://docker.example.org/linux/debian bookworm\n"
    );
    let kept = host.own().join("original/sources.list");
    assert_eq!(fs::read_to_string(kept).unwrap(), before);
    // While the old release is brought to its newest state, foreign sources are off already.
    let now = fs::read_to_string(host.own().join("now/sources.list")).unwrap();
    assert!(
        now.starts_with("deb http://deb.example.org/debian bookworm main\n# overhaul"),
        "{now}"
    );
}

#[test]
fn without_a_source_of_the_distribution_nothing_is_switched() {
    let host = Host::new("bookworm", "trixie");
    fs::write(
        host.path("etc/apt/sources.list"),
        "deb http://gone.example.org/debian bookworm main\n",
    )
    .unwrap();
    let output = host.sh(READY);
    assert!(!output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("no source of the distribution's main suite bookworm"),
        "{errors}"
    );
}

#[test]
fn a_policy_that_was_there_comes_back() {
    let host = Host::new("bookworm", "trixie");
    let policy = host.path("usr/sbin/policy-rc.d");
    for old in [None, Some("#!/bin/sh\nexit 0\n")] {
        if let Some(old) = old {
            fs::write(&policy, old).unwrap();
        }
        // Both are begun again after a cut, also twice.
        host.ok("deny_starts; deny_starts");
        for (words, status) in [
            (vec!["nginx", "start"], 101),
            (vec!["--quiet", "postgresql", "restart"], 101),
            (vec!["ssh.service", "restart"], 0),
            (vec!["--quiet", "ssh", "restart", "2"], 0),
            (vec![], 101),
        ] {
            let got = Command::new(&policy).args(&words).status().unwrap();
            assert_eq!(got.code(), Some(status), "{words:?}");
        }
        host.ok("allow_starts; allow_starts");
        assert_eq!(fs::read_to_string(&policy).ok().as_deref(), old);
    }
    let left: Vec<_> = fs::read_dir(host.path("usr/sbin")).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "nothing but the policy that was there: {left:?}"
    );
}

#[test]
fn old_code_is_found_by_what_processes_have_mapped() {
    let host = Host::new("bookworm", "trixie");
    for (pid, maps, exe) in [
        (
            "10",
            "7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)\n\
             7f02-7f03 rw-s 00000000 00:01 2  /memfd:x (deleted)\n",
            "/usr/sbin/old (deleted)",
        ),
        (
            "11",
            "7f00-7f01 r-xp 00000000 08:01 1  /usr/lib/x86_64-linux-gnu/libc.so.6\n",
            "/usr/sbin/new",
        ),
    ] {
        let dir = host.path(&format!("proc/{pid}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("maps"), maps).unwrap();
        fs::write(dir.join("cmdline"), "daemon\0--flag\0").unwrap();
        std::os::unix::fs::symlink(exe, dir.join("exe")).unwrap();
    }
    insta::assert_snapshot!(host.ok("old_code"), @"10 daemon --flag :  /usr/sbin/old /usr/lib/x86_64-linux-gnu/libc.so.6");
}
