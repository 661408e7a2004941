//! Hosts behind a jump host, over our own client: one connection stands on another.

use std::fs;
use std::path::Path;
use std::time::Duration;

use overhaul_reach::ssh::{Account, Asked, Bounds, Passphrases, Resolver, Routes, Session, Wanted};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Sshd, public};

/// A session that stalls sends nothing more at all; a busy machine takes seconds.
const BOUND: Duration = Duration::from_secs(60);
/// As much as a helper program, several times what all buffers on the way hold.
const UPLOAD_BYTES: usize = 8 << 20;
/// Hosts at one time behind the same jump host.
const HOSTS: usize = 4;
/// What one upload hits by chance, several hit for certain.
const UPLOADS: usize = 6;

/// Two servers, the ways of a configuration in which the second is behind the first.
struct Behind {
    dir: tempfile::TempDir,
    _servers: [Sshd; 2],
    routes: Routes,
}

impl Behind {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let servers = [Sshd::start(), Sshd::start()];
        let [jump, inner] = &servers;
        fs::copy(jump.path("authorized_keys"), inner.path("authorized_keys")).unwrap();
        let known: String = servers
            .iter()
            .map(|server| {
                let key = public(&server.path("host_ed25519"));
                format!("{} {key}\n", server.name_in_files())
            })
            .collect();
        fs::write(dir.path().join("known"), known).unwrap();
        let config = format!(
            "Host jump\n Port {}\nHost inner*\n Port {}\n ProxyJump jump\nHost *\n HostName 127.0.0.1\n IdentityFile {}\n \
             IdentityAgent none\n UserKnownHostsFile {}\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n",
            jump.port,
            inner.port,
            jump.path("client").display(),
            dir.path().join("known").display()
        );
        fs::write(dir.path().join("config"), config).unwrap();
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
        Self {
            dir,
            _servers: servers,
            routes,
        }
    }

    async fn connect(&self, host: &str) -> Session {
        let config = |path: &Path| path.join("config").display().to_string();
        let wanted = Wanted {
            name: host.to_owned(),
            asked: Asked {
                args: vec!["-F".to_owned(), config(self.dir.path())],
                ..Asked::host(host)
            },
            known_hosts: Vec::new(),
        };
        self.routes.connect(&wanted).await.unwrap()
    }
}

/// A reader of small pieces has the server open its window in many small steps, and so answer much while
/// much is sent.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_one_time_do_not_stall() {
    let behind = Behind::new();
    let mut uploads = JoinSet::new();
    for host in 0..HOSTS {
        let session = behind.connect(&format!("inner{host}")).await;
        uploads.spawn(async move {
            let data = vec![7; UPLOAD_BYTES];
            for _ in 0..UPLOADS {
                let command = "dd bs=4096 2>/dev/null | wc -c";
                let output = session.run(command, &data, 100, BOUND).await.unwrap();
                let counted = String::from_utf8(output.stdout).unwrap();
                assert_eq!(counted.trim(), UPLOAD_BYTES.to_string());
            }
        });
    }
    timeout(BOUND, uploads.join_all()).await.unwrap();
}

/// What one host sends and nobody reads is no burden of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_pauses_holds_up_no_other_host() {
    let behind = Behind::new();
    let (paused, other) = (
        behind.connect("inner1").await,
        behind.connect("inner2").await,
    );
    let unread = paused.exec("cat /dev/zero").await.unwrap();
    // Until everything on the way is full.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..20 {
        let output = other.run("echo here", b"", 100, BOUND).await.unwrap();
        assert_eq!(output.stdout, b"here\n");
    }
    drop(unread);
}
