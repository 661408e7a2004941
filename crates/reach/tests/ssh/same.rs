//! The same answers as the program `ssh`: each case is one configuration, tried with both on real servers.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "servers go by number; the numbers of cases are to be seen"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use overhaul_reach::ssh::{Account, Asked, Bounds, Passphrases, Resolver, Routes, Wanted};

use crate::same_cases::{
    CONFIGURATIONS, End, HOST_CERTIFICATES, KEYS, KNOWN, USER_CERTIFICATES, WAYS,
};
use crate::support::{ED25519, RSA, RunningAgent, Sshd, key, public, tool};

use End::{In, Out};

/// Says who is logged in, and on which server.
const WHO: &str = "echo $(id -un) ${SSH_CONNECTION##* }";
const BOUND: Duration = Duration::from_secs(20);

struct World {
    dir: tempfile::TempDir,
    servers: Vec<Sshd>,
    agent: RunningAgent,
    compared: usize,
    wrong: Vec<String>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let servers: Vec<_> = (0..4).map(|_| Sshd::start()).collect();
        let client = servers[0].path("client");
        let agent = RunningAgent::start(dir.path(), std::slice::from_ref(&client));
        let world = Self {
            dir,
            servers,
            agent,
            compared: 0,
            wrong: Vec::new(),
        };
        for server in &world.servers {
            world.admit(server, &client);
        }
        world
    }

    fn admit(&self, server: &Sshd, key: &Path) {
        fs::write(server.path("authorized_keys"), format!("{}\n", public(key))).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn port(&self, server: usize) -> u16 {
        self.servers[server].port
    }

    fn host_key(&self, server: usize) -> String {
        public(&self.servers[server].path("host_ed25519"))
    }

    /// A line that knows a server by its address and port.
    fn knows(&self, server: usize) -> String {
        format!(
            "[127.0.0.1]:{} {}\n",
            self.port(server),
            self.host_key(server)
        )
    }

    /// Fills in: `<K0>` host key, `<P0>` port, `<DIR>`, `<KEY>` client key, `<AGENT>`.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for server in 0..self.servers.len() {
            text = text
                .replace(&format!("<P{server}>"), &self.port(server).to_string())
                .replace(&format!("<K{server}>"), &self.host_key(server));
        }
        let at = format!("[127.0.0.1]:{}", self.port(0));
        text.replace("<AT>", &at)
            .replace("<DIR>", self.dir.path().to_str().unwrap())
            .replace("<KEY>", self.servers[0].path("client").to_str().unwrap())
            .replace("<AGENT>", self.agent.agent.socket().to_str().unwrap())
    }

    /// The usual rest of a configuration: one key, no agent, one known hosts file.
    fn config(&self, text: &str) -> String {
        self.fill(&format!(
            "{text}\nHost *\n  HostName 127.0.0.1\n  Port <P0>\n  IdentityFile <KEY>\n  IdentityAgent none\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile <DIR>/known\n  GlobalKnownHostsFile none\n  \
             StrictHostKeyChecking yes\n  BatchMode yes\n  UpdateHostKeys no\n"
        ))
    }

    async fn case(&mut self, name: &str, end: End, config: &str, known: &str) {
        self.call(name, end, config, known, "t", &[]).await;
    }

    async fn call(
        &mut self,
        name: &str,
        end: End,
        config: &str,
        known: &str,
        host: &str,
        more: &[&str],
    ) {
        fs::write(self.path("config"), self.config(config)).unwrap();
        fs::write(self.path("known"), self.fill(known)).unwrap();
        let mut args = vec!["-F".to_owned(), self.path("config").display().to_string()];
        args.extend(more.iter().map(|word| self.fill(word)));
        let theirs = theirs(host, &args);
        let ours = ours(host, args).await;
        self.compared += 1;
        let wanted = end == In;
        let equal = match (&theirs, &ours) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        if !equal || theirs.is_ok() != wanted {
            self.wrong.push(format!(
                "{name}: wanted {end:?}\n  ssh: {theirs:?}\n  we:  {ours:?}"
            ));
        }
    }
}

fn theirs(host: &str, args: &[String]) -> Result<String, String> {
    let output = Command::new("ssh")
        .args(args)
        .args(["--", host, WHO])
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("ssh: {error}: install the package openssh-client"));
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn ours(host: &str, args: Vec<String>) -> Result<String, String> {
    let bounds = Bounds {
        connect_timeout: BOUND,
        keepalive_interval: BOUND,
        keepalive_max: 3,
    };
    let routes = Routes::new(
        Resolver::new(Account::own()),
        bounds,
        Passphrases::default(),
    );
    let asked = Asked {
        args,
        ..Asked::host(host)
    };
    let wanted = Wanted {
        name: host.to_owned(),
        asked,
        known_hosts: Vec::new(),
    };
    let session = routes
        .connect(&wanted)
        .await
        .map_err(|error| error.to_string())?;
    let output = session.run(WHO, b"", 1_000, BOUND).await;
    let output = output.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// An sshd with a certificate of its host key, made with these words of `ssh-keygen`.
fn certified(world: &World, name: &str, authority: &str, words: &[&str]) -> Sshd {
    let host_key = key(world.dir.path(), name, ED25519, "");
    let (authority, file) = (world.path(authority), host_key.with_extension("pub"));
    let mut args = vec!["-q", "-s", authority.to_str().unwrap(), "-I", name];
    args.extend(words);
    args.push(file.to_str().unwrap());
    tool("ssh-keygen", "openssh-client", &args);
    let host_key = host_key.display();
    let sshd = Sshd::with(
        &format!("HostKey {host_key}\nHostCertificate {host_key}-cert.pub"),
        &[],
    );
    world.admit(&sshd, &world.servers[0].path("client"));
    sshd
}

async fn known_hosts(world: &mut World) {
    world.servers[3].known("x", "host_ed25519");
    let at = "[127.0.0.1]:<P0>";
    for (name, end, known) in KNOWN {
        world.case(name, *end, "Host t\n", known).await;
    }
    known_hosts_by_setting(world, at).await;
}

/// Other files, other names.
async fn known_hosts_by_setting(world: &mut World, at: &str) {
    world
        .case("alias", In, "Host t\n HostKeyAlias Web", "web <K0>")
        .await;
    world
        .case(
            "alias, and only the address is known",
            Out,
            "Host t\n HostKeyAlias web",
            &format!("{at} <K0>"),
        )
        .await;
    let several = "Host t\n UserKnownHostsFile <DIR>/none <DIR>/known";
    world
        .case("several files", In, several, &format!("{at} <K0>"))
        .await;
    fs::write(
        world.path("second"),
        world.fill(&format!("@revoked {at} <K0>\n")),
    )
    .unwrap();
    let global = "Host t\n GlobalKnownHostsFile <DIR>/second";
    world
        .case(
            "revoked in the other file",
            Out,
            global,
            &format!("{at} <K0>"),
        )
        .await;
    let hashed = world.path("hashed");
    fs::write(&hashed, world.knows(0)).unwrap();
    tool(
        "ssh-keygen",
        "openssh-client",
        &["-q", "-H", "-f", hashed.to_str().unwrap()],
    );
    world
        .case("hashed", In, "Host t\n UserKnownHostsFile <DIR>/hashed", "")
        .await;
    fs::write(world.path("revoked"), world.fill("# keys\n<K1>\n")).unwrap();
    let revoked = "Host t\n RevokedHostKeys <DIR>/revoked";
    world
        .case(
            "file of revoked keys, of others",
            In,
            revoked,
            &format!("{at} <K0>"),
        )
        .await;
    fs::write(world.path("revoked"), world.fill("<K0>\n")).unwrap();
    world
        .case("file of revoked keys", Out, revoked, &format!("{at} <K0>"))
        .await;
    let lacking = "Host t\n RevokedHostKeys <DIR>/no-such-file";
    world
        .case(
            "file of revoked keys is lacking",
            Out,
            lacking,
            &format!("{at} <K0>"),
        )
        .await;
}

async fn configurations(world: &mut World) {
    let known = world.knows(0) + &world.knows(1);
    fs::write(world.path("more"), world.fill("Port <P1>\n")).unwrap();
    for (name, end, config) in CONFIGURATIONS {
        world.case(name, *end, config, &known).await;
    }
    for (name, end, host, more) in [
        ("port by word", In, "t", &["-p", "<P1>"][..]),
        ("port by setting", In, "t", &["-oPort=<P1>"][..]),
        ("words win", In, "t", &["-o", "Port=<P1>", "-p", "1"][..]),
        (
            "account before the host",
            Out,
            "nobody-of-this-name@t",
            &[][..],
        ),
        ("address", In, "ssh://t:<P1>", &[][..]),
        ("dead port", Out, "t", &["-p", "1"][..]),
    ] {
        let host = world.fill(host);
        world.call(name, end, "", &known, &host, more).await;
    }
}

async fn logins(world: &mut World) {
    let known = world.knows(0);
    let dir = world.dir.path().to_owned();
    key(&dir, "stranger", ED25519, "");
    key(&dir, "locked", ED25519, "open sesame");
    let me = tool("id", "coreutils", &["-un"]).trim().to_owned();
    let user_authority = key(&dir, "user-ca", ED25519, "");
    for (name, words) in [
        ("certified", &["-n", &me][..]),
        ("expired", &["-n", &me, "-V", "20200101:20200102"][..]),
        ("misnamed", &["-n", "somebody"][..]),
    ] {
        let file = key(
            &dir,
            name,
            if name == "certified" { RSA } else { ED25519 },
            "",
        );
        let public = file.with_extension("pub");
        let mut args = vec!["-q", "-s", user_authority.to_str().unwrap(), "-I", name];
        args.extend(words);
        args.push(public.to_str().unwrap());
        tool("ssh-keygen", "openssh-client", &args);
    }
    fs::copy(world.servers[0].path("client.pub"), world.path("only.pub")).unwrap();

    let only = "Host t\n IdentityFile <DIR>/";
    let agent = "IdentityAgent <AGENT>\nHost t\n";
    for (name, end, config) in KEYS {
        let config = &config.replace("<ONLY>", only).replace("<USING>", agent);
        let end = *end;
        // The usual rest names the right key as well; these cases must not see it.
        let config = if end == Out {
            format!("{config}\nHost t\n IdentityFile none\n")
        } else {
            config.clone()
        };
        world.login(name, end, &config, &known).await;
    }
    let by_authority = format!("cert-authority {}\n", public(&user_authority));
    fs::write(world.servers[0].path("authorized_keys"), by_authority).unwrap();
    for (name, end, config) in USER_CERTIFICATES {
        let config = &config.replace("<ONLY>", only).replace("<USING>", agent);
        let end = *end;
        world.login(name, end, config, &known).await;
    }
    world.admit(&world.servers[0], &world.servers[0].path("client"));
}

impl World {
    /// A case whose keys are those of its own configuration alone.
    async fn login(&mut self, name: &str, end: End, config: &str, known: &str) {
        let config = format!("{config}\nHost t\n UserKnownHostsFile <DIR>/known\n");
        let client = self.servers[0].path("client");
        let aside = self.servers[0].path("aside");
        // The agent has it; the file of the usual rest is away meanwhile.
        let public = (client.with_extension("pub"), aside.with_extension("pub"));
        let halves = [(client, aside), public];
        for (here, aside) in &halves {
            fs::rename(here, aside).unwrap();
        }
        self.case(name, end, &config, known).await;
        for (here, aside) in &halves {
            fs::rename(aside, here).unwrap();
        }
    }
}

async fn certificates(world: &mut World) {
    for name in ["ca", "other-ca"] {
        key(world.dir.path(), name, ED25519, "");
    }
    key(world.dir.path(), "rsa-ca", RSA, "");
    let (ca, other, rsa) = (
        public(&world.path("ca")),
        public(&world.path("other-ca")),
        public(&world.path("rsa-ca")),
    );
    for (name, signer, words, known, end) in HOST_CERTIFICATES {
        let known = &known
            .replace("<CA>", &ca)
            .replace("<OTHER>", &other)
            .replace("<RSA>", &rsa);
        let end = *end;
        let sshd = certified(world, name, signer, words);
        let key = public(&world.path(name));
        let config = format!("Host t\n Port {}\n", sshd.port);
        world.case(name, end, &config, known).await;
        let bare = format!("{known}\n[127.0.0.1]:{} {key}", sshd.port);
        let revoked = known.contains("@revoked");
        let end = if revoked { Out } else { In };
        world
            .case(
                &format!("{name}, and the key is known"),
                end,
                &config,
                &bare,
            )
            .await;
        let revoked = format!("{bare}\n@revoked * {key}");
        world
            .case(
                &format!("{name}, and the key is revoked"),
                Out,
                &config,
                &revoked,
            )
            .await;
    }
}

async fn ways(world: &mut World) {
    let chain = "Host t\n ProxyJump <CHAIN>\nHost j1\n Port <P1>\nHost j2\n Port <P2>\nHost j3\n Port <P3>\n";
    for (list, hops) in [
        ("j1", vec![1]),
        ("j1,j2", vec![1, 2]),
        ("j1,j2,j3", vec![1, 2, 3]),
    ] {
        let config = chain.replace("<CHAIN>", list);
        let all: Vec<_> = hops.iter().copied().chain([0]).collect();
        let known = |without: Option<usize>| -> String {
            let kept = all.iter().filter(|server| Some(**server) != without);
            kept.map(|server| world.knows(*server)).collect()
        };
        let (whole, lacking): (_, Vec<_>) = (
            known(None),
            all.iter().map(|hop| (*hop, known(Some(*hop)))).collect(),
        );
        world
            .case(&format!("through {list}"), In, &config, &whole)
            .await;
        for (hop, known) in lacking {
            let name = format!("through {list}, server {hop} unknown");
            world.case(&name, Out, &config, &known).await;
        }
    }
    let known: String = (0..4).map(|server| world.knows(server)).collect();
    for (name, end, config) in WAYS {
        world.case(name, *end, config, &known).await;
    }
    world
        .call(
            "-J",
            In,
            "Host j1\n Port <P1>\n",
            &known,
            "t",
            &["-J", "j1"],
        )
        .await;
    world
        .call(
            "-o ProxyJump",
            In,
            "Host j1\n Port <P1>\n",
            &known,
            "t",
            &["-o", "ProxyJump=j1"],
        )
        .await;
}

impl World {
    /// All cases must be equal, and there must be as many as it takes to mean anything.
    fn end(self, cases_min: usize) {
        println!("{} cases compared with ssh", self.compared);
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        assert!(self.compared >= cases_min);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_hosts_count_as_for_ssh() {
    let mut world = World::new();
    known_hosts(&mut world).await;
    world.end(24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_count_as_for_ssh() {
    let mut world = World::new();
    configurations(&mut world).await;
    world.end(29);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_count_as_for_ssh() {
    let mut world = World::new();
    logins(&mut world).await;
    world.end(13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_certificates_count_as_for_ssh() {
    let mut world = World::new();
    certificates(&mut world).await;
    world.end(39);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_lead_where_they_lead_ssh() {
    let mut world = World::new();
    ways(&mut world).await;
    world.end(23);
}

/// `ssh` itself starts processes without end on this one.
#[tokio::test]
async fn a_circle_of_jump_hosts_ends() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config");
    fs::write(
        &config,
        "Host *\n HostName 127.0.0.1\nHost a\n ProxyJump b\nHost b\n ProxyJump a\n",
    )
    .unwrap();
    let error = ours("a", vec!["-F".to_owned(), config.display().to_string()])
        .await
        .unwrap_err();
    assert!(error.contains("circle in ProxyJump"), "{error}");
}

/// A thousand hosts of one configuration; the figure is printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hosts_are_resolved_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config");
    fs::write(&config, "Host h*\n Port 2222\n User admin\n").unwrap();
    let resolver = Arc::new(Resolver::new(Account::own()));
    let began = std::time::Instant::now();
    let tasks: Vec<_> = (0..1_000)
        .map(|number| {
            let asked = Asked {
                args: vec!["-F".to_owned(), config.display().to_string()],
                ..Asked::host(format!("h{number}"))
            };
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { resolver.resolve(&asked).await })
        })
        .collect();
    for task in tasks {
        let resolved = task.await.unwrap().unwrap();
        assert_eq!((resolved.port, resolved.user.as_str()), (2222, "admin"));
    }
    println!("1,000 hosts resolved by ssh -G in {:.1?}", began.elapsed());
}
