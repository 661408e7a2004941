//! A host: an sshd, a state folder, a data folder, and orders for it.

use crate::proxy::Proxy;
use crate::support::{By, Sshd, tool};
use jiff::Timestamp;
use overhaul_engine::ports::{Order, Progress, Reach as _, Registration};
use overhaul_model::action::Limits;
use overhaul_model::event::{Generation, Outcome};
use overhaul_model::fleet::{Connection, Fleet, Host};
use overhaul_model::id::{AttemptKey, Digest, HostName, Nonce, Position, RunId, StepId};
use overhaul_model::primitive::{Exec, Primitive};
use overhaul_model::secret::Secret;
use overhaul_model::span::Span;
use overhaul_reach::ssh::Passphrases;
use overhaul_reach::{HelperBinary, Settings, SshReach};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The helper of this build, built now when it is absent or older than its sources.
pub fn helper() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let helper = test.ancestors().nth(2).unwrap().join("overhaul-helper");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let newest = ["helper", "model", "mover"]
        .map(|name| newest(&crates.join(name)))
        .into_iter()
        .max()
        .unwrap();
    let built = std::fs::metadata(&helper).and_then(|data| data.modified());
    if built.is_err() || built.is_ok_and(|built| built < newest) {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let done = Command::new(cargo)
            .args(["build", "--quiet", "-p", "overhaul-helper"])
            .current_dir(crates)
            .status()
            .unwrap();
        assert!(done.success(), "the helper does not build");
    }
    helper
}

fn newest(path: &Path) -> SystemTime {
    let data = std::fs::metadata(path).unwrap();
    if !data.is_dir() {
        return data.modified().unwrap();
    }
    let entries = std::fs::read_dir(path).unwrap().flatten();
    entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with("tests"))
        .map(|entry| newest(&entry.path()))
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

pub struct Scene {
    pub sshd: Sshd,
    pub dir: TempDir,
    pub host: HostName,
    pub connection: Connection,
    pub settings: Settings,
    pub passwords: BTreeMap<HostName, Secret>,
    pub helper: HelperBinary,
}

impl Scene {
    pub fn new(by: By) -> Self {
        Self::over(by, Sshd::start())
    }

    pub fn over(by: By, sshd: Sshd) -> Self {
        let dir = TempDir::new().unwrap();
        let host = HostName::new("web-1");
        let connection = Connection {
            port: Some(sshd.port),
            user: Some(tool("id", "coreutils", &["-un"]).trim().to_owned()),
            identity_files: vec![sshd.path("client").display().to_string()],
            known_hosts: vec![sshd.path("known_hosts").display().to_string()],
            state_dir: Some(dir.path().join("state").display().to_string()),
            transport: by.transport(),
            // The ssh program reads nothing of this account's.
            ssh_args: by.own_words(),
            ..Connection::to("127.0.0.1")
        };
        // Known under any port, so that a proxy may stand before it.
        sshd.known("127.0.0.1", "host_ed25519");
        Self {
            helper: HelperBinary::load(&helper()).unwrap(),
            sshd,
            dir,
            host,
            connection,
            settings: Settings {
                connect_timeout: Duration::from_secs(10),
                keepalive_interval: Duration::from_millis(500),
                keepalive_max: 2,
                reconnect_budget: Duration::from_secs(30),
                reconnect_back_off: Duration::from_millis(100),
                connects_max: 8,
                passphrases: Passphrases::default(),
            },
            passwords: BTreeMap::new(),
        }
    }

    /// The same with a network between that can be cut.
    pub async fn behind_proxy(by: By) -> (Self, Proxy) {
        let mut scene = Self::new(by);
        let proxy = Proxy::to(scene.sshd.port).await;
        scene.connection.port = Some(proxy.port);
        (scene, proxy)
    }

    pub fn state(&self) -> PathBuf {
        PathBuf::from(self.connection.state_dir.clone().unwrap())
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The helper below the state folder.
    pub fn installed(&self) -> PathBuf {
        let version = self.helper.digest().as_str();
        self.state()
            .join("bin")
            .join(version)
            .join("overhaul-helper")
    }

    pub fn reach(&self) -> SshReach {
        let host = Host {
            name: self.host.clone(),
            roles: BTreeSet::new(),
            zone: None,
            connection: self.connection.clone(),
            vars: BTreeMap::new(),
        };
        let fleet = Fleet {
            name: "test".to_owned(),
            hosts: BTreeMap::from([(self.host.clone(), host)]),
        };
        SshReach::new(
            &fleet,
            &self.passwords,
            &self.helper,
            self.data(),
            self.settings.clone(),
        )
        .unwrap()
    }

    /// Hands that the host has accepted.
    pub async fn registered(&self) -> (SshReach, Registration) {
        let reach = self.reach();
        let registration = reach
            .register(&self.host, &generation(1))
            .await
            .unwrap_or_else(|fault| panic!("{fault}\n{}", self.sshd.log()));
        (reach, registration)
    }

    pub fn order(&self, name: &str, work: Primitive) -> Order {
        Order {
            host: self.host.clone(),
            generation: generation(1),
            key: AttemptKey::new(format!("key-{name}")),
            position: Position::on(StepId::new(name), self.host.clone()),
            step: Digest::of(name),
            work,
            limits: Limits {
                total: Span::from_s(60),
                stall: None,
                expected: Span::from_s(1),
            },
            outputs: BTreeMap::new(),
            begun: false,
            earlier: Vec::new(),
            claims: Vec::new(),
            file_digest: None,
            machine: None,
        }
    }

    pub fn shell(&self, name: &str, script: &str) -> Order {
        self.order(name, Primitive::Exec(Exec::shell(script)))
    }
}

pub fn generation(counter: u64) -> Generation {
    Generation {
        fleet: "test".to_owned(),
        run: RunId::new("run-1"),
        counter,
        nonce: Nonce::new(format!("nonce-{counter}")),
    }
}

/// What was printed so far.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    pub fn progress(&self) -> Progress {
        let kept = Arc::clone(&self.0);
        Arc::new(move |_, bytes| kept.lock().unwrap().extend(bytes))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

pub fn quiet() -> Progress {
    Printed::default().progress()
}

/// The outputs of a success.
#[track_caller]
pub fn outputs(outcome: &Outcome) -> &BTreeMap<String, serde_json::Value> {
    match outcome {
        Outcome::Succeeded { outputs, .. } => outputs,
        other => panic!("{other:?}"),
    }
}

/// Why it failed, and its tail.
#[track_caller]
pub fn failure(outcome: &Outcome) -> (&str, &str) {
    match outcome {
        Outcome::Failed { why, tail, .. } => (why, tail),
        other => panic!("{other:?}"),
    }
}

/// Asserts that it certainly was not begun, and says why.
#[track_caller]
pub fn not_begun(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { why, end: None, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn unknown(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Unknown { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Some bytes that do not repeat soon.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = Timestamp::UNIX_EPOCH.as_second() as u64 | 0x9e37_79b9_7f4a_7c15;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
