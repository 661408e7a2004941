//! A Galera cluster that is upgraded while a client writes to it, its controller killed in every slot and continued: no acknowledged row may be
//! lost, and there is one cluster at the end, the one that there was.

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use crate::chaos::rows::Rows;
use crate::say::{complain, say};

use super::controller::{Controller, Failure, path, wait};
use super::host::Lab;

/// The upgrade takes some five minutes on two busy cores; six times that means that it hangs.
const RUN_S_MAX: u64 = 2_400;
/// Rows come in bursts, a few milliseconds apart; looking more often costs the run its processor time.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The lab's topology.
const TOPOLOGY: &str = "galera";
/// Its members, in the order of their turns.
const MEMBERS: [&str; 3] = ["gal1", "gal2", "gal3"];
/// Where the controller dies on the way by one member, in the order of the run: a part of a position, and its host.
const BY_ONE: [(&str, &str); 15] = [
    ("/prepare/", "gal2"),
    ("/first/stop/", "gal1"),
    ("/first/change/", "gal1"),
    ("/quiesce/", "gal3"),
    ("/alone/restore/", "gal1"),
    ("-authority", "gal1"),
    ("/alone/configure/", "gal1"),
    ("/alone/start/", "gal1"),
    ("/alone/verify/", "gal1"),
    ("/rest/stop/", "gal2"),
    ("/rest/change/", "gal2"),
    ("/rest/restore/", "gal3"),
    ("/rest/configure/", "gal3"),
    ("/rest/start/", "gal3"),
    ("/rest/verify/", "gal3"),
];
/// Attempts of a step, by the receipts on a host.
const ATTEMPTS: &str = "grep -ls \"$1\" /var/lib/overhaul/receipts/*/begin.json | wc -l";
/// Slots that a host goes through; in each of them the controller dies once.
const SLOTS: [&str; 8] = [
    "prepare",
    "drain",
    "stop",
    "change",
    "restore",
    "configure",
    "start",
    "verify",
];
/// What tells one cluster from another, as long as it lives.
const CLUSTER: &str = "mariadb -BNe \"show status like 'wsrep_cluster_state_uuid'\" | cut -f2";

/// Arguments of `xtask kill-galera`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lab instance.
    #[arg(long, default_value = "killgalera")]
    id: String,
    /// The program under test.
    #[arg(long, default_value = "target/release/overhaul")]
    overhaul: PathBuf,
    /// How the cluster is upgraded.
    #[arg(long, value_enum, default_value = "rejoin")]
    way: Way,
    /// With `rejoin`: the host on whose turn the controller dies in the first slot; the following slots are on the following hosts.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    turn: u8,
}

/// How the cluster is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// Member after member, each made anew and fed by the others.
    Rejoin,
    /// By way of one member, which receives the data once and begins the cluster alone.
    First,
}

impl Way {
    fn definition(self) -> &'static str {
        match self {
            Self::Rejoin => "lab/clusters/rejoin.yaml",
            Self::First => "lab/clusters/first.yaml",
        }
    }

    /// Where the controller dies: a part of a position, and its host.
    fn deaths(self, turn: u8) -> Vec<(String, &'static str)> {
        let named = |(part, host): &(&str, &'static str)| ((*part).to_owned(), *host);
        match self {
            Self::Rejoin => deaths(turn)
                .iter()
                .map(|(slot, host)| (format!("/{slot}/"), *host))
                .collect(),
            Self::First => BY_ONE.iter().map(named).collect(),
        }
    }
}

/// Runs it; success when nothing was lost.
pub fn run(args: &Args) -> ExitCode {
    let tried = Lab::new(&args.id).and_then(|lab| {
        let tried = carried_out(args, &lab);
        lab.down()?;
        tried
    });
    match tried {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("kill-galera: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Where the controller dies: a slot, on a host.
fn deaths(turn: u8) -> Vec<(&'static str, &'static str)> {
    let mut out: Vec<(&str, &str)> = SLOTS
        .iter()
        .enumerate()
        .filter_map(|(n, slot)| {
            let host = MEMBERS.get((n + usize::from(turn)) % MEMBERS.len())?;
            Some((*slot, *host))
        })
        .collect();
    // The stage `prepare` is over for all hosts before the first one changes.
    let place = |(slot, host): &(&str, &str)| {
        let host = MEMBERS.iter().position(|member| member == host);
        let slot_at = SLOTS.iter().position(|known| known == slot);
        (*slot != "prepare", host, slot_at)
    };
    out.sort_by_key(place);
    out
}

fn carried_out(args: &Args, lab: &Lab) -> Result<(), Failure> {
    let began = Instant::now();
    lab.fresh_hosts(TOPOLOGY, &[])?;
    let controller = Controller {
        overhaul: &args.overhaul,
        dir: lab.dir()?,
    };
    script(lab, "begin", &[])?;
    let on_first = |lab: &Lab| lab.lab(&["exec", MEMBERS[0], "--", CLUSTER]);
    let cluster = on_first(lab)?;
    let fleet = controller.dir.join("fleet.yaml");
    let definition = lab.lab(&["definition", args.way.definition()])?;
    let mut child =
        controller.start(&["run", definition.trim(), "--fleet", &path(&fleet), "--yes"])?;
    let mut rows = Rows::new(controller.dir.join("state"));
    let deaths = args.way.deaths(args.turn);
    for (part, host) in &deaths {
        kill_in(&controller, &mut child, &mut rows, (part, host))?;
        child = controller.start(&["resume"])?;
    }
    let code = wait(&mut child, RUN_S_MAX)?;
    let (resumes, asked) = controller.resume_to_the_end(code, RUN_S_MAX)?;
    controller.must_be_complete()?;
    let dir = path(&controller.dir);
    let proof = script(lab, "proof", &[&dir, &MEMBERS.join(" ")])?;
    say(format_args!("{}", proof.trim_end()));
    let now = on_first(lab)?;
    if now != cluster {
        return Err(Failure::new(format!(
            "another cluster than before: {} and not {}",
            now.trim(),
            cluster.trim()
        )));
    }
    if args.way == Way::First {
        once(lab)?;
    }
    say(format_args!(
        "PASS {} deaths, one in each slot; ended after {} s; resumed {resumes} times beyond the deaths; asked: {asked:?}",
        deaths.len(),
        began.elapsed().as_secs()
    ));
    Ok(())
}

/// The cluster was begun once, and the authority over the data moved once, both by the first member alone.
fn once(lab: &Lab) -> Result<(), Failure> {
    for (host, wanted) in [(MEMBERS[0], "1"), (MEMBERS[1], "0"), (MEMBERS[2], "0")] {
        for step in [
            "/alone/start/begin-orders",
            "/alone/restore/orders-comes-over-authority",
        ] {
            let ask = format!("set -- {step}; {ATTEMPTS}");
            let attempts = lab.lab(&["exec", host, "--", &ask])?;
            say(format_args!(
                "{host}: {} attempts of {step}",
                attempts.trim()
            ));
            if attempts.trim() != wanted {
                return Err(Failure::new(format!(
                    "{host}: {step} was begun {} times, not {wanted}",
                    attempts.trim()
                )));
            }
        }
    }
    Ok(())
}

/// A script of `lab/clusters`, with the lab's command and more words.
fn script(lab: &Lab, name: &str, words: &[&str]) -> Result<String, Failure> {
    let wrong = |why: String| Failure::new(format!("{name}.sh: {why}"));
    let output = Command::new(format!("lab/clusters/{name}.sh"))
        .arg(lab.words())
        .args(words)
        .output()
        .map_err(|error| wrong(error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        return Err(wrong(format!(
            "{}: {}{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        )));
    }
    Ok(text(&output.stdout))
}

/// Waits until something of the slot begins on the host, and kills the controller.
fn kill_in(
    controller: &Controller<'_>,
    child: &mut Child,
    rows: &mut Rows,
    (part, host): (&str, &str),
) -> Result<(), Failure> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(RUN_S_MAX) {
        let fresh = rows.fresh();
        let begun = fresh
            .iter()
            .find(|row| row.begins() && row.host() == host && row.position.contains(part));
        if let Some(row) = begun {
            child
                .kill()
                .map_err(|error| Failure::new(format!("kill: {error}")))?;
            let _ = child.wait();
            say(format_args!("killed in {} ({})", row.position, row.event));
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Failure::new(format!(
                "the run ended ({status}) before {host} was in {part}; see {}",
                path(&controller.log())
            )));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = child.kill();
    Err(Failure::new(format!(
        "{host} did not come to {part} in time"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_dies_once_in_each_slot_in_the_order_of_the_run() {
        for turn in 0..3 {
            let deaths = deaths(turn);
            let slots: std::collections::BTreeSet<&str> =
                deaths.iter().map(|(slot, _)| *slot).collect();
            assert_eq!((deaths.len(), slots.len()), (SLOTS.len(), SLOTS.len()));
            let hosts: Vec<&str> = deaths.iter().skip(1).map(|(_, host)| *host).collect();
            assert!(hosts.is_sorted(), "{deaths:?}");
        }
    }
}
