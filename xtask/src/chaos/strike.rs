//! How each fault is brought about. Whatever lasts heals by itself: on the host by a unit of its own, on this machine by a command that outlives us.

use std::collections::VecDeque;
use std::process::Command;

use crate::kill::host::Lab;

use super::draw::Event;
use super::fault::Fault;

/// A step of dpkg comes within minutes after its step of the plan has begun, also on a busy machine.
const MOMENT_S_MAX: u64 = 900;
/// keepalived takes an address over 3 s after the last advertisement.
const TAKE_OVER_S: u64 = 6;

/// What is to be done.
pub enum Means {
    /// The controller is killed.
    Kill,
    /// The controller's clock is set to the true time and so many seconds.
    Clock(i64),
    /// A second controller tries the same run, and another run.
    Second,
    /// Commands of the lab, one after the other.
    Lab(VecDeque<Stage>),
}

/// A command of the lab.
pub struct Stage {
    /// The command.
    pub command: Command,
    /// What is tried when it fails.
    pub or_else: Option<Command>,
    /// What is known when it succeeds; then it may fail.
    pub shows: Option<&'static str>,
    /// Whether the fault strikes when it begins; otherwise when it has ended.
    pub strikes_at_once: bool,
}

impl Stage {
    fn new(lab: &Lab, words: &[&str]) -> Self {
        Self {
            command: lab.command(words.iter().copied()),
            or_else: None,
            shows: None,
            strikes_at_once: false,
        }
    }

    fn on_host(lab: &Lab, host: &str, line: &str) -> Self {
        Self::new(lab, &["exec", host, "--", line])
    }

    fn at_once(mut self) -> Self {
        self.strikes_at_once = true;
        self
    }
}

/// A shell line that outlives the connection; ends at once.
fn detached(line: &str) -> String {
    format!("systemd-run --quiet --collect sh -c '{line}'")
}

/// A shell line that ends when dpkg has logged this since it began.
fn logged(word: &str) -> String {
    format!(
        "touch /var/log/dpkg.log; from=$(($(wc -l </var/log/dpkg.log) + 1)); \
         timeout {MOMENT_S_MAX} sh -c 'until tail -n +'$from' /var/log/dpkg.log | grep -q \"{word}\"; do sleep 0.02; done'"
    )
}

/// How this event is brought about.
pub fn means(event: &Event, lab: &Lab, site: &str) -> Means {
    let (fault, host) = (event.fault, event.place.host);
    let seconds = fault.lasts_s().to_string();
    let stages = match fault {
        Fault::Controller => return Means::Kill,
        Fault::ClockForward => return Means::Clock(3_600),
        Fault::ClockBack => return Means::Clock(-3_600),
        Fault::SecondController => return Means::Second,
        Fault::Power => vec![Stage::new(lab, &["power-cut", host, "--restart"]).at_once()],
        Fault::NetworkShort | Fault::NetworkLong => {
            vec![Stage::new(lab, &["cut-network", host, "--for", &seconds]).at_once()]
        }
        Fault::Sshd => {
            let line = format!(
                "sleep 0.3; systemctl stop ssh; pkill -KILL sshd; sleep {seconds}; systemctl start ssh"
            );
            vec![Stage::on_host(lab, host, &detached(&line))]
        }
        Fault::DiskFull => vec![
            Stage::on_host(lab, host, &logged("status half-installed")),
            Stage::new(lab, &["fill-disk", host, "--for", &seconds]).at_once(),
        ],
        Fault::DpkgKilled => {
            let line = format!("{} && pkill -KILL -x dpkg", logged(" configure "));
            vec![Stage::on_host(lab, host, &line)]
        }
        Fault::MirrorAway => vec![Stage::new(lab, &["mirror-away", "--for", &seconds]).at_once()],
        Fault::ProbeDown => {
            let (host, unit) = event.place.unit().unwrap_or((host, "nginx"));
            let line = format!("systemctl stop {unit}; sleep {seconds}; systemctl start {unit}");
            vec![Stage::on_host(lab, host, &detached(&line))]
        }
        Fault::AddressTwice => held_twice(lab, host, site, &seconds),
    };
    Means::Lab(stages.into())
}

fn held_twice(lab: &Lab, host: &str, site: &str, seconds: &str) -> Vec<Stage> {
    let other = if host == "web1" { "web2" } else { "web1" };
    let has = format!("ip -o -4 address | grep -qwF {site}");
    let heal = detached(&format!("sleep {seconds}; systemctl restart keepalived"));
    let line = format!("{has} && pkill -KILL keepalived && {heal}");
    let mut kill = Stage::on_host(lab, host, &line);
    kill.or_else = Some(lab.command(["exec", other, "--", &line]));
    let both = |host: &str| {
        let line = format!("sleep {TAKE_OVER_S}; {has}");
        Stage::on_host(lab, host, &line)
    };
    let mut one = both(host);
    one.shows = Some("held by its server");
    let mut two = Stage::on_host(lab, other, &has);
    two.shows = Some("held by the other one too");
    vec![kill, one, two]
}

#[cfg(test)]
mod tests {
    use super::super::fault::FAULTS;
    use super::super::place::places;
    use super::*;

    #[test]
    fn what_lasts_heals_by_itself() {
        let lab = Lab::new("t").unwrap();
        for fault in FAULTS {
            let place = places().into_iter().find(|place| fault.fits(place));
            let event = Event {
                fault,
                place: place.unwrap(),
            };
            let Means::Lab(stages) = means(&event, &lab, "10.0.0.1") else {
                continue;
            };
            let said: String = stages.iter().map(|s| format!("{:?}", s.command)).collect();
            let bound = fault.lasts_s();
            assert!(
                bound == 0 || said.contains(&bound.to_string()),
                "{fault:?}: {said}"
            );
        }
    }
}
