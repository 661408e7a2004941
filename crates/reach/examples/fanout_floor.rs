//! The floor of a fan-out: a bare connection and one `true` for each address, nothing else.
//!
//! `fanout_floor USER KEY KNOWN_HOSTS PORT AT_ONCE < ADDRESSES` prints the seconds that all took.
//! Used by `bench/fanout/run.sh`.

use jiff::Timestamp;
use overhaul_reach::ssh::{Keyring, KnownHosts, Limits, Passphrases, Target, Via, connect};
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Bound of each connection and each command: a machine that is that slow has no figure.
const BOUND_S: u64 = 60;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [user, key, known_hosts, port, at_once] = words.as_slice() else {
        return Err("USER KEY KNOWN_HOSTS PORT AT_ONCE < ADDRESSES".into());
    };
    let mut addresses = String::new();
    std::io::stdin().read_to_string(&mut addresses)?;
    let keyring = Arc::new(Keyring::load(&[Path::new(key)], &[]));
    let known_hosts = Arc::new(KnownHosts::load(&[Path::new(known_hosts)])?);
    let turns = Arc::new(Semaphore::new(at_once.parse()?));
    let port = port.parse()?;
    let began = Instant::now();
    let mut all = JoinSet::new();
    for address in addresses.split_whitespace() {
        let target = Target {
            name: address.to_owned(),
            address: address.to_owned(),
            port,
            user: user.clone(),
            host_key_alias: None,
            via: Via::default(),
            keyring: Arc::clone(&keyring),
            identities_only: false,
            passphrases: Passphrases::default(),
            agent: None,
            revoked: None,
            limits: Limits::default(),
            now: Timestamp::now,
            known_hosts: Arc::clone(&known_hosts),
            connect_timeout: Duration::from_secs(BOUND_S),
            keepalive_interval: Duration::from_secs(BOUND_S),
            keepalive_max: 1,
        };
        let turns = Arc::clone(&turns);
        all.spawn(async move {
            let _turn = turns.acquire().await.map_err(|error| error.to_string())?;
            let session = connect(&target).await.map_err(|error| error.to_string())?;
            let bound = Duration::from_secs(BOUND_S);
            let output = session
                .run("true", b"", 0, bound)
                .await
                .map_err(|error| error.to_string())?;
            if output.exit.success() {
                Ok(())
            } else {
                Err(format!("{}: {}", target.name, output.exit))
            }
        });
    }
    while let Some(one) = all.join_next().await {
        one??;
    }
    writeln!(std::io::stdout(), "{:.3}", began.elapsed().as_secs_f64())?;
    Ok(())
}
