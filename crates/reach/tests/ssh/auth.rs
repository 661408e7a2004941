//! Being let in: key files of all kinds, agents, refusals.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use overhaul_reach::ssh::{Agent, Keyring, Passphrases, SshError, Target, connect};

use crate::support::{ECDSA, ED25519, RSA, RunningAgent, Sshd, key, keyring, public, secret};

fn authorize(sshd: &Sshd, keys: &[&PathBuf]) {
    let lines: String = keys
        .iter()
        .map(|key| format!("{}\n", public(key)))
        .collect();
    fs::write(sshd.path("authorized_keys"), lines).unwrap();
}

async fn error_of(target: &Target) -> SshError {
    match connect(target).await {
        Ok(_) => panic!("was let in"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn key_files_of_all_kinds_let_us_in() {
    let sshd = Sshd::start();
    let pem: &[&str] = &["-t", "rsa", "-b", "2048", "-m", "PEM"];
    for (name, kind) in [
        ("ed25519", ED25519),
        ("ecdsa", ECDSA),
        ("rsa", RSA),
        ("pem", pem),
    ] {
        let key = key(sshd.dir.path(), name, kind, "");
        authorize(&sshd, &[&key]);
        let target = Target {
            keyring: keyring(&[key]),
            ..sshd.target()
        };
        connect(&target)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}\n{}", sshd.log()));
    }
    assert!(sshd.log().contains("publickey"), "{}", sshd.log());
}

#[tokio::test]
async fn rsa_with_256_only() {
    let sshd = Sshd::with(
        "PubkeyAcceptedAlgorithms rsa-sha2-256",
        &[("host_ed25519", ED25519)],
    );
    let key = key(sshd.dir.path(), "rsa", RSA, "");
    authorize(&sshd, &[&key]);
    connect(&Target {
        keyring: keyring(&[key]),
        ..sshd.target()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn encrypted_keys_want_their_passphrase() {
    let sshd = Sshd::start();
    let key = key(sshd.dir.path(), "locked", ED25519, "open sesame");
    authorize(&sshd, &[&key]);
    let target = |files: &[PathBuf], passphrases| Target {
        keyring: Arc::new(Keyring::load(files, &[])),
        passphrases,
        ..sshd.target()
    };
    let files = [key.clone()];

    let error = error_of(&target(&files, Passphrases::default())).await;
    assert_eq!(error, SshError::KeyEncrypted { path: key.clone() });
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answers = |answer: &'static str| {
        let asked = Arc::clone(&asked);
        Passphrases::from(move |path, wrong| {
            asked.lock().unwrap().push((path.to_owned(), wrong));
            Some(secret(answer))
        })
    };
    let error = error_of(&target(&files, answers("wrong"))).await;
    assert_eq!(error, SshError::PassphraseWrong { path: key.clone() });
    assert_eq!(
        std::mem::take(&mut *asked.lock().unwrap()),
        [(key.clone(), 0), (key.clone(), 1), (key.clone(), 2)]
    );

    // Many hosts want it at once: one question.
    let many = target(&files, answers("open sesame"));
    let all: Vec<_> = (0..5)
        .map(|_| {
            let target = many.clone();
            tokio::spawn(async move { connect(&target).await })
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(
        std::mem::take(&mut *asked.lock().unwrap()),
        [(key.clone(), 0)]
    );

    // The old form hides its public half as well; another key comes first, and then nobody is asked.
    let pem: &[&str] = &["-t", "rsa", "-b", "2048", "-m", "PEM"];
    let pem = crate::support::key(sshd.dir.path(), "locked-pem", pem, "open sesame");
    fs::remove_file(pem.with_extension("pub")).unwrap();
    let client = sshd.path("client");
    authorize(&sshd, &[&client]);
    connect(&target(&[pem.clone(), client], answers("open sesame")))
        .await
        .unwrap();
    assert_eq!(asked.lock().unwrap().len(), 0);

    // A key that is not usable does not keep a usable one from being tried, and is named.
    authorize(&sshd, &[]);
    let files = [key, sshd.path("client"), pem];
    let error = error_of(&target(&files, Passphrases::default())).await;
    let SshError::AuthRefused { tried, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(tried.len(), 4, "{error}");
    assert!(error.to_string().contains("encrypted"), "{error}");
}

#[tokio::test]
async fn bad_key_files_say_what_is_wrong() {
    let sshd = Sshd::start();
    let garbage = sshd.path("garbage");
    fs::write(&garbage, "no key at all\n").unwrap();
    for path in [sshd.path("missing"), garbage, sshd.dir.path().to_owned()] {
        let keyring = Arc::new(Keyring::load(&[&path], &[]));
        let error = error_of(&Target {
            keyring,
            ..sshd.target()
        })
        .await;
        assert!(
            matches!(&error, SshError::KeyUnreadable { path: at, .. } if *at == path),
            "{error}"
        );
    }
    let none = Target {
        keyring: Arc::default(),
        ..sshd.target()
    };
    assert_eq!(
        error_of(&none).await,
        SshError::NoCredentials {
            host: "web-1".to_owned()
        }
    );
}

#[tokio::test]
async fn refusal_names_what_was_tried() {
    let sshd = Sshd::start();
    let stranger = key(sshd.dir.path(), "stranger", ED25519, "");
    let error = error_of(&Target {
        keyring: keyring(&[stranger]),
        ..sshd.target()
    })
    .await;
    let SshError::AuthRefused { tried, note, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        tried.len() == 1 && tried.iter().all(|tried| tried.contains("stranger")),
        "{error}"
    );
    assert!(note.contains("publickey"), "{error}");
    assert!(!error.is_transient());

    // A server that has had enough of us says so itself.
    let many: Vec<_> = (0..8)
        .map(|n| key(sshd.dir.path(), &format!("many-{n}"), ED25519, ""))
        .collect();
    let error = error_of(&Target {
        keyring: keyring(&many),
        ..sshd.target()
    })
    .await;
    assert!(
        matches!(&error, SshError::AuthRefused { note, .. } if note.contains("Too many")),
        "{error}"
    );

    let error = error_of(&Target {
        user: "nobody-of-that-name".to_owned(),
        ..sshd.target()
    })
    .await;
    assert!(matches!(error, SshError::AuthRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_key_alone_may_not_be_enough() {
    let sshd = Sshd::with(
        "PasswordAuthentication yes\nAuthenticationMethods publickey,password",
        &[("host_ed25519", ED25519)],
    );
    let error = error_of(&sshd.target()).await;
    assert!(
        matches!(&error, SshError::AuthRefused { note, .. } if note.contains("password as well")),
        "{error}"
    );
}

#[tokio::test]
async fn agents_sign_with_all_kinds_of_keys() {
    let sshd = Sshd::start();
    for (name, kind) in [
        ("agent-ed25519", ED25519),
        ("agent-ecdsa", ECDSA),
        ("agent-rsa", RSA),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let key = key(dir.path(), name, kind, "");
        authorize(&sshd, &[&key]);
        let running = RunningAgent::start(dir.path(), &[key]);
        let target = Target {
            agent: Some(Arc::clone(&running.agent)),
            keyring: Arc::default(),
            ..sshd.target()
        };
        connect(&target)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn agent_and_files_work_together() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let strangers: Vec<_> = (0..3)
        .map(|n| key(dir.path(), &format!("stranger-{n}"), ED25519, ""))
        .collect();
    let running = RunningAgent::start(dir.path(), &strangers);
    let target = Target {
        agent: Some(Arc::clone(&running.agent)),
        ..sshd.target()
    };
    // The agent's keys are refused, the file's is taken.
    connect(&target).await.unwrap();

    // Named keys come first even in a full agent: servers count tries.
    let many: Vec<_> = (0..7)
        .map(|n| key(dir.path(), &format!("more-{n}"), ED25519, ""))
        .collect();
    let other = tempfile::tempdir().unwrap();
    let full = RunningAgent::start(other.path(), &[&many[..], &[sshd.path("client")]].concat());
    connect(&Target {
        agent: Some(Arc::clone(&full.agent)),
        ..sshd.target()
    })
    .await
    .unwrap();

    // A dead agent is told only when nothing else helps.
    let dead = Some(Arc::new(Agent::at(dir.path().join("nowhere"))));
    connect(&Target {
        agent: dead.clone(),
        ..sshd.target()
    })
    .await
    .unwrap();
    let error = error_of(&Target {
        agent: dead,
        keyring: Arc::default(),
        ..sshd.target()
    })
    .await;
    assert!(
        matches!(error, SshError::AgentUnavailable { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_agent_serves_many_connections() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let running = RunningAgent::start(dir.path(), &[sshd.path("client")]);
    let target = Target {
        agent: Some(Arc::clone(&running.agent)),
        keyring: Arc::default(),
        ..sshd.target()
    };
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move { connect(&target).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}
