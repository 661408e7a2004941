//! A real sshd of our own on loopback, with its keys, account and end.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use overhaul_model::fleet::{Connection, Transport};
use overhaul_reach::ssh::{
    Agent, Keyring, KnownHosts, Limits, Passphrases, Secret, SshError, Target, Via,
};
use overhaul_reach::transport::{Session, Way};
use overhaul_reach::{Settings, openssh};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

/// How long sshd or ssh-agent may take to answer on a busy machine.
const START_S_MAX: u64 = 20;
/// Ports that are tried when another process takes the one that was free.
const STARTS_MAX: usize = 5;

/// Runs a program that a package brings and asserts that it does well.
pub fn tool(program: &str, package: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}: install the package {package}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key pair and returns the private file; `.pub` lies beside it.
pub fn key(dir: &Path, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
    let path = dir.join(name);
    let mut args = vec![
        "-q",
        "-N",
        passphrase,
        "-C",
        name,
        "-f",
        path.to_str().unwrap(),
    ];
    args.extend(kind);
    tool("ssh-keygen", "openssh-client", &args);
    path
}

pub const ED25519: &[&str] = &["-t", "ed25519"];
pub const ECDSA: &[&str] = &["-t", "ecdsa", "-b", "256"];
pub const RSA: &[&str] = &["-t", "rsa", "-b", "2048"];

/// The type and base64 of the public key beside `private`, as known hosts files have them.
pub fn public(private: &Path) -> String {
    let text = fs::read_to_string(private.with_extension("pub")).unwrap();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

pub fn is_root() -> bool {
    tool("id", "coreutils", &["-u"]).trim() == "0"
}

/// The client that a case runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Our own.
    Native,
    /// The `ssh` program.
    Openssh,
}

impl By {
    pub fn transport(self) -> Transport {
        match self {
            Self::Native => Transport::Native,
            Self::Openssh => Transport::Openssh,
        }
    }

    /// Words that keep the ssh program from this account's files and agent.
    pub fn own_words(self) -> Vec<String> {
        match self {
            Self::Native => Vec::new(),
            Self::Openssh => ["-F", "none", "-o", "IdentityAgent=none"]
                .map(str::to_owned)
                .into(),
        }
    }
}

/// What the `ssh` program is told for the same target: names of files where our own client is given
/// what was read from them.
pub fn openssh_way(target: &Target, keys: &[PathBuf], agent: Option<&Path>) -> Way {
    let text = |path: &PathBuf| path.display().to_string();
    let mut ssh_args: Vec<_> = ["-F", "none", "-o", "IdentitiesOnly=no"]
        .map(str::to_owned)
        .into();
    let agent = agent.map_or_else(|| "none".to_owned(), |agent| agent.display().to_string());
    ssh_args.extend(["-o".to_owned(), format!("IdentityAgent={agent}")]);
    if let Some(alias) = &target.host_key_alias {
        ssh_args.extend(["-o".to_owned(), format!("HostKeyAlias={alias}")]);
    }
    let connection = Connection {
        port: Some(target.port),
        user: Some(target.user.clone()),
        identity_files: keys.iter().map(text).collect(),
        known_hosts: target.known_hosts.files().iter().map(text).collect(),
        ssh_args,
        ..Connection::to(target.address.clone())
    };
    let settings = Settings {
        connect_timeout: target.connect_timeout,
        keepalive_interval: target.keepalive_interval,
        keepalive_max: target.keepalive_max,
        ..Settings::default()
    };
    Way::from(openssh::Target::new(target.name.clone(), &connection, &settings).unwrap())
}

pub struct Sshd {
    pub dir: TempDir,
    pub port: u16,
    /// The process in whose network it is, where that is another one than ours.
    pub network: Option<u32>,
    child: Child,
}

/// What whoever logs in there has for itself.
struct Own<'a> {
    /// This folder, where others see another one.
    shown: &'a Path,
    over: &'a Path,
    /// And a network without a way out.
    apart: bool,
}

impl Sshd {
    /// An sshd with one Ed25519 host key and one Ed25519 client key (`client`) that it takes.
    pub fn start() -> Self {
        Self::with("", &[("host_ed25519", ED25519)])
    }

    /// The same with configuration lines of its own, which win, and these host keys. Shells find an empty
    /// home: what this account's own profile does, and how long it takes, is no part of any test.
    pub fn with(config: &str, host_keys: &[(&str, &[&str])]) -> Self {
        Self::seeing(config, host_keys, None)
    }

    /// One on a host of its own, as far as a folder goes: whoever logs in there sees `shown` at the path
    /// `over`. Takes root.
    pub fn beside(shown: &Path, over: &Path) -> Self {
        let apart = false;
        Self::beside_with(Own { shown, over, apart })
    }

    /// The same in a network of its own: nothing reaches it or is reached from there, but for what goes through
    /// [`connect_in`]. Takes root.
    pub fn apart(shown: &Path, over: &Path) -> Self {
        let apart = true;
        Self::beside_with(Own { shown, over, apart })
    }

    fn beside_with(own: Own<'_>) -> Self {
        Self::seeing("", &[("host_ed25519", ED25519)], Some(&own))
    }

    fn seeing(config: &str, host_keys: &[(&str, &[&str])], own: Option<&Own<'_>>) -> Self {
        let dir = TempDir::new().unwrap();
        // Another account has to read its authorized keys below.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let client = key(dir.path(), "client", ED25519, "");
        fs::write(
            dir.path().join("authorized_keys"),
            format!("{}\n", public(&client)),
        )
        .unwrap();
        let mut text = format!(
            "{config}\nListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\n\
             MaxStartups 500\nMaxSessions 100\nAuthorizedKeysFile {dir}/authorized_keys\nSetEnv HOME={dir}/home\n",
            dir = dir.path().display()
        );
        for (name, kind) in host_keys {
            text += &format!("HostKey {}\n", key(dir.path(), name, kind, "").display());
        }
        fs::write(dir.path().join("sshd_config"), text).unwrap();
        if is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for _ in 0..STARTS_MAX {
            let port = free_port();
            if let Some(child) = spawn(dir.path(), port, own) {
                let network = own.filter(|own| own.apart).map(|_| child.id());
                return Self {
                    dir,
                    port,
                    network,
                    child,
                };
            }
        }
        panic!(
            "sshd does not start: {}",
            fs::read_to_string(dir.path().join("sshd.log")).unwrap_or_default()
        );
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A known hosts file of one line about this server, under the name `host`.
    pub fn known(&self, host: &str, host_key: &str) -> Arc<KnownHosts> {
        self.known_lines(&format!("{host} {}\n", public(&self.path(host_key))))
    }

    pub fn known_lines(&self, lines: &str) -> Arc<KnownHosts> {
        let file = self.path("known_hosts");
        fs::write(&file, lines).unwrap();
        Arc::new(KnownHosts::load(&[file]).unwrap())
    }

    pub fn name_in_files(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// A target that is let in.
    pub fn target(&self) -> Target {
        Target {
            name: "web-1".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: tool("id", "coreutils", &["-un"]).trim().to_owned(),
            host_key_alias: None,
            via: Via::default(),
            keyring: keyring(&[self.path("client")]),
            identities_only: false,
            passphrases: Passphrases::default(),
            agent: None,
            revoked: None,
            limits: Limits::default(),
            now: Timestamp::now,
            known_hosts: self.known(&self.name_in_files(), "host_ed25519"),
            connect_timeout: Duration::from_secs(20),
            keepalive_interval: Duration::from_secs(5),
            keepalive_max: 3,
        }
    }

    /// Connects with this server's usual client key, over the client of the case.
    pub async fn connect(&self, by: By, target: &Target) -> Result<Session, SshError> {
        self.way(by, target).connect().await
    }

    pub fn way(&self, by: By, target: &Target) -> Way {
        match by {
            By::Native => Way::from(target.clone()),
            By::Openssh => openssh_way(target, &[self.path("client")], None),
        }
    }

    /// Processes below the listener: one or two for each connection, and its commands.
    pub fn descendants(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut next = 0;
        let parents = parents();
        while let Some(parent) = found.get(next).copied() {
            found.extend(
                parents
                    .iter()
                    .filter(|(_, p)| *p == parent)
                    .map(|(pid, _)| *pid),
            );
            next += 1;
        }
        found.split_off(1)
    }

    /// Sends a signal to all processes below the listener.
    pub fn signal_descendants(&self, signal: &str) {
        Self::signal(self.descendants(), signal);
    }

    /// Sends a signal to sshd's own processes below the listener, not to what they started.
    pub fn signal_sessions(&self, signal: &str) {
        let is_sshd = |pid: &u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.starts_with("sshd")
        };
        Self::signal(self.descendants().into_iter().filter(is_sshd), signal);
    }

    fn signal(pids: impl IntoIterator<Item = u32>, signal: &str) {
        for pid in pids {
            let sent = Command::new("kill")
                .args(["-s", signal, &pid.to_string()])
                .stderr(Stdio::null())
                .status();
            assert!(sent.is_ok());
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_descendants("KILL");
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub fn keyring(files: &[PathBuf]) -> Arc<Keyring> {
    let keyring = Keyring::load(files, &[]);
    assert_eq!(keyring.unusable(), []);
    Arc::new(keyring)
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text)
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name in parentheses may hold anything; after it come state and parent.
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

fn spawn(dir: &Path, port: u16, own: Option<&Own<'_>>) -> Option<Child> {
    let log = fs::File::create(dir.join("sshd.log")).unwrap();
    let mut command = match own {
        None => Command::new("/usr/sbin/sshd"),
        Some(own) => {
            let mut command = Command::new("unshare");
            let here = "mount --bind \"$0\" \"$1\" && shift && exec /usr/sbin/sshd \"$@\"";
            let script = match own.apart {
                true => format!("ip link set lo up && {here}"),
                false => here.to_owned(),
            };
            command.args(own.apart.then_some("--net"));
            command.args(["--mount", "--propagation", "private", "sh", "-c"]);
            command.arg(script).args([own.shown, own.over]);
            command
        }
    };
    let child = command
        .args(["-D", "-e", "-p", &port.to_string(), "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("/usr/sbin/sshd: {error}: install the package openssh-server")
    });
    let deadline = Instant::now() + Duration::from_secs(START_S_MAX);
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        let network = own.filter(|own| own.apart).map(|_| child.id());
        if answers(network, port) {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _gone = child.kill();
    let _reaped = child.wait();
    None
}

/// A connection to a port of the loopback address in the network of a process.
pub fn connect_in(network: Option<u32>, port: u16) -> std::io::Result<TcpStream> {
    let connect = move || {
        if let Some(process) = network {
            let own = fs::File::open(format!("/proc/{process}/ns/net"))?;
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(own.as_fd(), kind)?;
        }
        TcpStream::connect(("127.0.0.1", port))
    };
    // A thread of its own stays in that network; the socket does anyhow.
    std::thread::spawn(connect).join().unwrap()
}

fn answers(network: Option<u32>, port: u16) -> bool {
    let Ok(mut stream) = connect_in(network, port) else {
        return false;
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(START_S_MAX)))
        .unwrap();
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-"
}

/// A real ssh-agent holding these keys.
pub struct RunningAgent {
    child: Child,
    pub agent: Arc<Agent>,
}

impl RunningAgent {
    pub fn start(dir: &Path, keys: &[PathBuf]) -> Self {
        let socket = dir.join("agent");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("ssh-agent: {error}: install the package openssh-client")
        });
        let running = Self {
            child,
            agent: Arc::new(Agent::at(&socket)),
        };
        let deadline = Instant::now() + Duration::from_secs(START_S_MAX);
        while !socket.exists() {
            assert!(Instant::now() < deadline, "ssh-agent does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        for key in keys {
            // The socket is there a moment before the agent listens on it.
            loop {
                let added = Command::new("ssh-add")
                    .arg("-q")
                    .arg(key)
                    .env("SSH_AUTH_SOCK", &socket)
                    .status()
                    .unwrap();
                if added.success() {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "ssh-add does not add {}",
                    key.display()
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        running
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Asks again until `done`, at most for the usual bound.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(START_S_MAX);
    while !done() {
        assert!(Instant::now() < deadline, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
