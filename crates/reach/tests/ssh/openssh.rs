//! What is the ssh program's own: its logins, its jump hosts, its processes and what they leave.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use overhaul_reach::ssh::{SshError, Target};
use overhaul_reach::transport::Way;

use crate::each::over_each_transport;
use crate::rerun;
use crate::support::{
    By, ECDSA, ED25519, RSA, RunningAgent, Sshd, eventually, key, openssh_way, public,
};

const BOUND: Duration = Duration::from_secs(30);

over_each_transport! { twenty_hosts_at_once }

fn with_words(way: Way, words: &[&str]) -> Way {
    match way {
        Way::Openssh(mut target) => {
            target
                .words
                .splice(0..0, words.iter().map(|word| (*word).to_owned()));
            Way::Openssh(target)
        }
        other => other,
    }
}

async fn error_of(way: &Way) -> SshError {
    match way.connect().await {
        Ok(_) => panic!("was let in"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn keys_from_files_and_agents_let_us_in() {
    let sshd = Sshd::start();
    for (name, kind) in [("ed25519", ED25519), ("ecdsa", ECDSA), ("rsa", RSA)] {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path(), name, kind, "");
        fs::write(sshd.path("authorized_keys"), public(&key)).unwrap();
        let agent = RunningAgent::start(dir.path(), std::slice::from_ref(&key));
        openssh_way(&sshd.target(), std::slice::from_ref(&key), None)
            .connect()
            .await
            .unwrap();
        let socket = dir.path().join("agent");
        openssh_way(&sshd.target(), &[], Some(&socket))
            .connect()
            .await
            .unwrap();
        drop(agent);
    }
}

#[tokio::test]
async fn refusals_name_what_was_tried_and_nobody_is_asked() {
    let sshd = Sshd::start();
    let stranger = key(sshd.dir.path(), "stranger", ED25519, "");
    let error = error_of(&openssh_way(&sshd.target(), &[stranger], None)).await;
    let SshError::AuthRefused {
        tried, note, user, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(
        tried.iter().any(|tried| tried.contains("stranger")),
        "{error}"
    );
    assert!(
        note.contains("publickey") && *user == sshd.target().user,
        "{error}"
    );

    // An encrypted key: no prompt, no waiting.
    let locked = key(sshd.dir.path(), "locked", ED25519, "open sesame");
    fs::write(sshd.path("authorized_keys"), public(&locked)).unwrap();
    let began = Instant::now();
    let error = error_of(&openssh_way(&sshd.target(), &[locked], None)).await;
    assert!(matches!(error, SshError::AuthRefused { .. }), "{error}");
    assert!(began.elapsed() < BOUND);
    let missing = sshd.path("missing");
    let error = error_of(&openssh_way(&sshd.target(), &[missing], None)).await;
    assert!(error.to_string().contains("No such file"), "{error}");

    let broken = with_words(
        openssh_way(&sshd.target(), &[], None),
        &["-o", "NoSuchOption=1"],
    );
    let error = error_of(&broken).await;
    assert!(
        matches!(&error, SshError::Openssh { text, .. } if text.contains("nosuchoption")),
        "{error}"
    );
}

/// A way through one sshd to another, by a configuration that would check no key at all.
fn through(jump: &Sshd, to: &Sshd, jump_known: &Path) -> Way {
    let config = to.path("ssh_config");
    let text = format!(
        "Host jump\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n UserKnownHostsFile {}\n \
         StrictHostKeyChecking no\nHost *\n StrictHostKeyChecking no\n ProxyJump jump\n",
        jump.port,
        jump.target().user,
        jump.path("client").display(),
        jump_known.display()
    );
    // A jump host is not reached through itself.
    let text = text.replace("Host *\n", "Host 127.0.0.1\n");
    fs::write(&config, text).unwrap();
    let way = openssh_way(&to.target(), &[to.path("client")], None);
    let Way::Openssh(mut target) = way else {
        panic!("not the ssh program's")
    };
    let named = target.words.iter_mut().find(|word| *word == "none");
    *named.unwrap() = config.display().to_string();
    Way::Openssh(target)
}

#[tokio::test]
async fn keys_of_jump_hosts_are_checked_whatever_a_configuration_says() {
    let (jump, to) = (Sshd::start(), Sshd::start());
    jump.known(&jump.name_in_files(), "host_ed25519");
    let session = through(&jump, &to, &jump.path("known_hosts"))
        .connect()
        .await
        .unwrap();
    assert!(
        session
            .run("true", b"", 0, BOUND)
            .await
            .unwrap()
            .exit
            .success()
    );
    assert!(!jump.descendants().is_empty());
    drop(session);
    eventually("both hops end", || {
        jump.descendants().is_empty() && to.descendants().is_empty()
    })
    .await;

    let unknown = through(&jump, &to, &to.path("nothing"));
    let error = error_of(&unknown).await;
    assert!(matches!(error, SshError::HostKeyUnknown { .. }), "{error}");
    // And nothing was learnt by it.
    assert!(!to.path("nothing").exists());
}

#[tokio::test]
async fn sockets_lie_in_a_folder_of_ours_alone_and_go() {
    let sshd = Sshd::start();
    let session = sshd.connect(By::Openssh, &sshd.target()).await.unwrap();
    let folders = folders_of(std::process::id());
    let [folder] = folders.as_slice() else {
        panic!("{folders:?}")
    };
    assert_eq!(
        fs::metadata(folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    session.close().await;
    eventually("the folder goes", || !folder.exists()).await;
    eventually("the server's process ends", || {
        sshd.descendants().is_empty()
    })
    .await;
}

fn folders_of(pid: u32) -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let parents = runtime.into_iter().chain([std::env::temp_dir()]);
    let entries = parents
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .flatten();
    let name = format!("overhaul-ssh.{pid}.");
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&name))
        .map(|entry| entry.path())
        .collect()
}

#[tokio::test]
async fn a_killed_controller_leaves_no_process() {
    let words_of = |folder: &Path| fs::read_to_string(folder.join("port")).unwrap();
    if let Some(folder) = rerun::folder() {
        let target = Target {
            port: words_of(&folder).parse().unwrap(),
            known_hosts: std::sync::Arc::new(
                overhaul_reach::ssh::KnownHosts::load(&[folder.join("known_hosts")]).unwrap(),
            ),
            ..Sshd::start().target()
        };
        let way = openssh_way(&target, &[folder.join("client")], None);
        let session = way.connect().await.unwrap();
        let _sleeping = session.exec("sleep 600").await.unwrap();
        fs::write(folder.join("ready"), "").unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        return;
    }
    let sshd = Sshd::start();
    sshd.known(&sshd.name_in_files(), "host_ed25519");
    fs::write(sshd.path("port"), sshd.port.to_string()).unwrap();
    let test = "openssh::a_killed_controller_leaves_no_process";
    let mut controller = rerun::start(test, sshd.dir.path(), &[]);
    eventually("it is connected", || sshd.path("ready").exists()).await;
    let folders = folders_of(controller.id());
    assert_eq!(folders.len(), 1, "{folders:?}");
    controller.kill().unwrap();
    controller.wait().unwrap();
    eventually("the master ends", || {
        !sshd.descendants().iter().any(|pid| is_sshd(*pid))
    })
    .await;
    eventually("its socket goes", || {
        folders.iter().all(|folder| !folder.join("0").exists())
    })
    .await;
    // What a killed controller leaves of the folder goes at the next start.
    let session = sshd.connect(By::Openssh, &sshd.target()).await.unwrap();
    assert!(folders.iter().all(|folder| !folder.exists()));
    drop(session);
}

fn is_sshd(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}

/// Connect and `true` over twenty connections, as over twenty hosts; prints the time.
async fn twenty_hosts_at_once(by: By) {
    let sshd = Sshd::start();
    let way = sshd.way(by, &sshd.target());
    let began = Instant::now();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let way = way.clone();
            tokio::spawn(async move {
                let session = way.connect().await?;
                let output = session.run("true", b"", 0, BOUND).await?;
                Ok::<_, SshError>((session, output.exit))
            })
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        let (session, exit) = task.await.unwrap().unwrap();
        assert!(exit.success());
        sessions.push(session);
    }
    println!("20 times connect and true, {by:?}: {:?}", began.elapsed());
}
