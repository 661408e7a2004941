//! One call to one hook.

use super::queue::Way;
use overhaul_model::secret::Secret;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// A call takes so long at most: a pager that is asked later calls too late, and the next call waits.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// The certificates that this machine trusts, as Debian and its kin keep them.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What a program finds in its environment, beside what locale and home are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the call; the answer counts only as good or bad.
///
/// # Errors
/// With the reason, as a part of a sentence. Secrets are never in it.
pub async fn deliver(way: &Way, body: &str) -> Result<(), String> {
    let late = || format!("no end within {} s", CALL_WITHIN.as_secs());
    match way {
        Way::Command(argv) => {
            let running = tokio::time::timeout(CALL_WITHIN, run(argv, body));
            running.await.unwrap_or_else(|_| Err(late()))
        }
        Way::Webhook { url, headers } => {
            let (url, headers, body) = (url.clone(), headers.clone(), body.to_owned());
            let posting = tokio::task::spawn_blocking(move || post(&url, &headers, &body));
            // The client keeps its own bound; this one is for what it cannot see, as a slow name service.
            match tokio::time::timeout(CALL_WITHIN.saturating_mul(2), posting).await {
                Ok(Ok(posted)) => posted,
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(late()),
            }
        }
    }
}

/// The program is ended when it is given up: it is dropped then.
async fn run(argv: &[String], body: &str) -> Result<(), String> {
    let [program, arguments @ ..] = argv else {
        return Err("it names no program".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(
            ["HOME", "LANG"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read what it is told may still do its work.
        let _ = stdin.write_all(body.as_bytes()).await;
        let _ = stdin.write_all(b"\n").await;
    }
    let status = child
        .wait()
        .await
        .map_err(|error| format!("{program}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", ended(status))),
    }
}

fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it was ended by a signal".to_owned(),
    }
}

fn post(url: &str, headers: &[(String, Secret)], body: &str) -> Result<(), String> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(CALL_WITHIN))
        // A redirect would carry the headers to an address that nobody wrote down.
        .max_redirects(0);
    if url.starts_with("https:") {
        config = config.tls_config(trust()?);
    }
    let agent = ureq::Agent::new_with_config(config.build());
    let mut request = agent.post(url).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value.reveal());
    }
    match request.send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status())),
        Err(ureq::Error::StatusCode(code)) => Err(format!("it answered {code}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Nothing but what this machine trusts; rustls with the cryptography that its ssh uses too.
fn trust() -> Result<TlsConfig, String> {
    let pem = std::fs::read(TRUSTED)
        .map_err(|error| format!("{TRUSTED}: {error}; the package ca-certificates has it"))?;
    let certificates = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    let certificates: Vec<Certificate<'static>> = certificates.collect();
    let provider = rustls::crypto::ring::default_provider();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .build())
}
