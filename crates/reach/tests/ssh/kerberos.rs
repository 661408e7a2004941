//! A login by Kerberos, which only the ssh program knows: a realm of its own, a ticket, no key.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use overhaul_reach::ssh::SshError;
use overhaul_reach::transport::Way;

use crate::rerun;
use crate::support::{By, ED25519, Sshd, free_port, openssh_way, tool};

const BOUND: Duration = Duration::from_secs(30);
const REALM: &str = "OVERHAUL.TEST";

/// A key distribution centre on loopback, with its files in one folder.
struct Centre(Child);

impl Centre {
    /// Makes the realm that the environment's files describe, with keys for this machine's sshd and
    /// for the account that runs the tests.
    fn start(folder: &Path, user: &str) -> Self {
        tool(
            "kdb5_util",
            "krb5-kdc",
            &["create", "-s", "-r", REALM, "-P", "master"],
        );
        let keytab = |name: &str| folder.join(name).display().to_string();
        for query in [
            "addprinc -randkey host/localhost".to_owned(),
            format!("addprinc -randkey {user}"),
            format!("ktadd -k {} host/localhost", keytab("host.keytab")),
            format!("ktadd -k {} {user}", keytab("user.keytab")),
        ] {
            tool(
                "kadmin.local",
                "krb5-admin-server",
                &["-r", REALM, "-q", &query],
            );
        }
        let child = Command::new("krb5kdc")
            .args(["-n", "-P", &keytab("kdc.pid")])
            .stdin(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("krb5kdc: {error}: install the package krb5-kdc")))
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn ticket(folder: &Path, user: &str, lifetime: &str) {
    let keytab = folder.join("user.keytab").display().to_string();
    let args = ["-k", "-t", &keytab, "-l", lifetime, user];
    let deadline = Instant::now() + BOUND;
    loop {
        let asked = Command::new("kinit")
            .args(args)
            .stdin(Stdio::null())
            .output();
        let asked =
            asked.unwrap_or_else(|error| panic!("kinit: {error}: install the package krb5-user"));
        if asked.status.success() {
            return;
        }
        let why = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(Instant::now() < deadline, "no ticket: {why}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_ticket_lets_us_in_and_its_lack_is_named() {
    if let Some(folder) = rerun::folder() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        return runtime.unwrap().block_on(inside(&folder));
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let port = free_port();
    let client = format!(
        "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\n\
         dns_canonicalize_hostname = false\nrdns = false\nudp_preference_limit = 1\n\
         [realms]\n{REALM} = {{\nkdc = 127.0.0.1:{port}\n}}\n[domain_realm]\nlocalhost = {REALM}\n"
    );
    let centre = format!(
        "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n\
         [realms]\n{REALM} = {{\ndatabase_name = {at}/principal\nkey_stash_file = {at}/stash\nacl_file = {at}/acl\n}}\n"
    );
    fs::write(dir.path().join("krb5.conf"), client).unwrap();
    fs::write(dir.path().join("kdc.conf"), centre).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let environment = [
        ("KRB5_CONFIG", format!("{at}/krb5.conf")),
        ("KRB5_KDC_PROFILE", format!("{at}/kdc.conf")),
        ("KRB5_KTNAME", format!("FILE:{at}/host.keytab")),
        ("KRB5CCNAME", format!("FILE:{at}/tickets")),
        ("PATH", format!("{path}:/usr/sbin:/sbin")),
    ];
    let test = "kerberos::a_ticket_lets_us_in_and_its_lack_is_named";
    assert!(
        rerun::start(test, dir.path(), &environment)
            .wait()
            .unwrap()
            .success()
    );
}

async fn inside(folder: &Path) {
    let user = tool("id", "coreutils", &["-un"]).trim().to_owned();
    let _centre = Centre::start(folder, &user);
    let sshd = Sshd::with(
        "PubkeyAuthentication no\nGSSAPIAuthentication yes\nGSSAPIStrictAcceptorCheck no",
        &[("host_ed25519", ED25519)],
    );
    let mut target = sshd.target();
    target.address = "localhost".to_owned();
    target.known_hosts = sshd.known(&format!("[localhost]:{}", sshd.port), "host_ed25519");
    let mut way = openssh_way(&target, &[], None);
    if let Way::Openssh(target) = &mut way {
        target
            .words
            .extend(["-o", "GSSAPIAuthentication=yes"].map(str::to_owned));
    }

    let refused = |error: SshError, why: &str| {
        let SshError::AuthRefused { tried, note, .. } = &error else {
            panic!("{error}")
        };
        assert!(note.contains(why), "{error}");
        assert!(tried.contains(&"gssapi-with-mic".to_owned()), "{error}");
        assert!(!error.is_transient());
    };
    refused(
        way.connect().await.unwrap_err(),
        "Kerberos: No Kerberos credentials available",
    );

    ticket(folder, &user, "1h");
    let session = way
        .connect()
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", sshd.log()));
    let output = session.run("id -un", b"", 100, BOUND).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), user);
    assert!(
        sshd.log().contains("Accepted gssapi-with-mic"),
        "{}",
        sshd.log()
    );

    ticket(folder, &user, "1s");
    tokio::time::sleep(Duration::from_secs(2)).await;
    refused(way.connect().await.unwrap_err(), "Kerberos: Ticket expired");
    // Who is in stays in.
    assert!(
        session
            .run("true", b"", 0, BOUND)
            .await
            .unwrap()
            .exit
            .success()
    );

    // Our own client says where to look.
    let error = sshd.connect(By::Native, &target).await.unwrap_err();
    assert!(error.to_string().contains("transport: openssh"), "{error}");
}
