//! An sshd of our own on loopback, in a world of its own, and the helper of this build.
//!
//! Plans hold reboots, and stop and mask units. Those who log in here act in namespaces (`cage.sh`) in
//! which no step can reboot this machine, reach its service manager or change its files, whatever
//! the program under test gets wrong.

use crate::scene::Scene;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long sshd may take to answer on a busy machine.
const START_S_MAX: u64 = 20;

/// Ports that are tried when another process takes the one that was free.
const STARTS_MAX: usize = 5;

/// It answers on so many addresses, from 127.0.0.1 on: a fleet names no address twice.
pub const ADDRESSES: u8 = 9;

/// Makes the world around it.
const CAGE: &str = include_str!("cage.sh");

/// Lets in who runs the tests; ends with this, and every process that it let in too.
pub struct Sshd {
    child: Child,
    pub port: u16,
}

fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn public(private: &Path) -> String {
    let text = std::fs::read_to_string(private.with_extension("pub")).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

impl Sshd {
    /// Starts it in a world in which this script has run, with the scene for `$scene`; keys and
    /// configuration lie in the scene's folder `sshd`.
    pub fn start(scene: &Scene, script: &str) -> Self {
        assert_eq!(
            tool("id", &["-u"]),
            "0",
            "what logs in here must not act on this machine, and only root can see to that: run these tests as root"
        );
        let dir = scene.path("sshd");
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["host_key", "client", "other_key"] {
            let file = dir.join(name).display().to_string();
            tool(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file],
            );
        }
        std::fs::write(
            dir.join("authorized_keys"),
            public(&dir.join("client")) + "\n",
        )
        .unwrap();
        std::fs::create_dir_all(dir.join("home")).unwrap();
        let at = dir.display();
        let listen: String = (1..=ADDRESSES)
            .map(|last| format!("ListenAddress 127.0.0.{last}\n"))
            .collect();
        let config = format!(
            "{listen}PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n\
             AuthorizedKeysFile {at}/authorized_keys\nHostKey {at}/host_key\nSetEnv HOME={at}/home\n"
        );
        std::fs::write(dir.join("sshd_config"), config).unwrap();
        for _ in 0..STARTS_MAX {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            if let Some(child) = spawn(scene, script, port) {
                let sshd = Self { child, port };
                sshd.known_by(scene, "host_key");
                return sshd;
            }
        }
        panic!(
            "sshd does not start: {}{}",
            scene.read("sshd/cage"),
            scene.read("sshd/log")
        );
    }

    /// Another machine under the same address: its world, host key and receipt store are new.
    pub fn rebuilt(&mut self, scene: &Scene, script: &str) {
        self.stop();
        let key = scene.path("sshd/host_key");
        for old in [key.clone(), key.with_extension("pub")] {
            std::fs::remove_file(old).unwrap();
        }
        let file = key.display().to_string();
        tool(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &file],
        );
        std::fs::remove_dir_all(scene.path("host")).unwrap();
        self.child = spawn(scene, script, self.port)
            .unwrap_or_else(|| panic!("sshd does not start again: {}", scene.read("sshd/log")));
    }

    /// What a script says in that world, of another program than the one under test.
    pub fn shell(&self, scene: &Scene, script: &str) -> Output {
        let at = scene.path("sshd");
        let known = format!("UserKnownHostsFile={}", at.join("known_hosts").display());
        Command::new("ssh")
            .args(["-F", "none", "-o", "BatchMode=yes", "-o", &known, "-p"])
            .args([&self.port.to_string(), "-i"])
            .arg(at.join("client"))
            .args(["root@127.0.0.1", script])
            .output()
            .unwrap()
    }

    /// Makes this the host key that is known.
    pub fn known_by(&self, scene: &Scene, key: &str) {
        let key = public(&scene.path("sshd").join(key));
        scene.write(
            "sshd/known_hosts",
            &format!("[127.0.0.1]:{} {key}\n", self.port),
        );
    }

    /// Marks the host's key as revoked.
    pub fn revoked_by(&self, scene: &Scene) {
        let key = public(&scene.path("sshd/host_key"));
        let known = scene.read("sshd/known_hosts");
        scene.write("sshd/known_hosts", &format!("@revoked * {key}\n{known}"));
    }

    /// A fleet of one host, which is this machine in its cage.
    pub fn fleet(&self, scene: &Scene) -> String {
        let at = scene.path("sshd");
        format!(
            "fleet: shop\nhosts:\n  db1:\n    address: 127.0.0.1\n    port: {}\n    user: root\n    \
             identity_file: {at}/client\n    known_hosts: {at}/known_hosts\n    state_dir: {}\n    \
             roles: [database]\n    vars: {{work: {}}}\n",
            self.port,
            scene.path("host").display(),
            scene.path("work").display(),
            at = at.display(),
        )
    }
}

fn spawn(scene: &Scene, script: &str, port: u16) -> Option<Child> {
    let dir = scene.path("sshd");
    let said = std::fs::File::create(dir.join("cage")).unwrap();
    // `mount-proc` and `kill-child`: with this process all others of its world go.
    let mut child = Command::new("unshare")
        .args([
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["--propagation", "private", "sh", "-c", CAGE, "cage"])
        .arg(scene.path("").canonicalize().unwrap())
        .arg(script)
        .args(["/usr/sbin/sshd", "-D", "-p", &port.to_string(), "-f"])
        .arg(dir.join("sshd_config"))
        .arg("-E")
        .arg(dir.join("log"))
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .stdin(Stdio::null())
        .spawn()
        .expect("unshare: install the package util-linux");
    let until = Instant::now() + Duration::from_secs(START_S_MAX);
    while Instant::now() < until {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _gone = child.kill();
    let _reaped = child.wait();
    None
}

impl Sshd {
    /// Ends it and all that it let in.
    pub fn stop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The helper of this build, built now: cargo does nothing when it is there already.
pub fn helper() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            let overhaul = Path::new(env!("CARGO_BIN_EXE_overhaul"));
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
            let done = Command::new(cargo)
                .args(["build", "--quiet", "-p", "overhaul-helper"])
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .unwrap();
            assert!(done.success(), "the helper does not build");
            overhaul.with_file_name("overhaul-helper")
        })
        .clone()
}
