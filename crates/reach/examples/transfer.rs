//! One transfer between two hosts, for `bench/transfer/run.sh`.
//!
//! `transfer HELPER STATE USER KEY KNOWN_HOSTS OLD NEW PATH`, the hosts as `ADDRESS:PORT`: the second receives the
//! path from the first. Prints the seconds from the order to the outcome, the way, and what was seen.

use overhaul_engine::ports::{Order, Reach as _};
use overhaul_model::action::Limits;
use overhaul_model::event::{Generation, Outcome};
use overhaul_model::fleet::{Connection, Fleet, Host};
use overhaul_model::id::{AttemptKey, Digest, HostName, Nonce, Position, RunId, StepId};
use overhaul_model::primitive::{Moving, Primitive, Receive};
use overhaul_model::span::Span;
use overhaul_reach::{HelperBinary, Settings, SshReach};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Bound of a transfer: a machine that is that slow has no figure.
const BOUND_S: u64 = 60 * 60;

const OLD: &str = "old";
const NEW: &str = "new";

struct Way<'a> {
    state: &'a str,
    user: &'a str,
    key: &'a str,
    known_hosts: &'a str,
}

impl Way<'_> {
    fn host(&self, name: &str, at: &str) -> Result<(HostName, Host), Box<dyn Error>> {
        let (address, port) = at.rsplit_once(':').ok_or("a host is ADDRESS:PORT")?;
        let host = Host {
            name: HostName::new(name),
            roles: BTreeSet::new(),
            zone: None,
            connection: Connection {
                port: Some(port.parse()?),
                user: Some(self.user.to_owned()),
                identity_files: vec![self.key.to_owned()],
                known_hosts: vec![self.known_hosts.to_owned()],
                state_dir: Some(format!("{}-{name}", self.state)),
                ..Connection::to(address)
            },
            vars: BTreeMap::new(),
        };
        Ok((host.name.clone(), host))
    }
}

fn order(generation: &Generation, path: &str) -> Order {
    let work = Primitive::Receive(Receive {
        data: Moving {
            dataset: "bench".into(),
            paths: vec![path.to_owned()],
            one_filesystem: false,
            exclude: Vec::new(),
            units: Vec::new(),
        },
        from: OLD.into(),
        first: None,
    });
    let key = format!("bench-{}", generation.nonce);
    Order {
        host: NEW.into(),
        generation: generation.clone(),
        key: AttemptKey::new(key),
        position: Position::on(StepId::new("bench"), NEW.into()),
        step: Digest::of("bench"),
        work,
        limits: Limits {
            total: Span::from_s(BOUND_S),
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [helper, state, user, key, known_hosts, old, new, path] = words.as_slice() else {
        return Err("HELPER STATE USER KEY KNOWN_HOSTS OLD NEW PATH".into());
    };
    let way = Way {
        state,
        user,
        key,
        known_hosts,
    };
    let hosts = [way.host(OLD, old)?, way.host(NEW, new)?];
    let fleet = Fleet {
        name: "bench".to_owned(),
        hosts: hosts.into(),
    };
    let helper = HelperBinary::load(Path::new(helper))?;
    let data = format!("{state}-data");
    let reach = SshReach::new(&fleet, &BTreeMap::new(), &helper, data, Settings::default())?;
    let generation = Generation {
        fleet: fleet.name.clone(),
        run: RunId::new("bench"),
        counter: 1,
        nonce: Nonce::new(std::process::id().to_string()),
    };
    for name in [OLD, NEW] {
        reach.register(&name.into(), &generation).await?;
    }
    let began = Instant::now();
    let outcome = reach
        .act(order(&generation, path), Arc::new(|_, _| {}))
        .await;
    let took = began.elapsed().as_secs_f64();
    for name in [OLD, NEW] {
        reach.release(&name.into(), &generation).await?;
    }
    match outcome {
        Outcome::Succeeded { evidence, .. } => {
            writeln!(std::io::stdout(), "{took:.2} {evidence}")?;
            Ok(())
        }
        other => Err(format!("{other:?}").into()),
    }
}
