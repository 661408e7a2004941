//! What became of each event, and of the site's users meanwhile.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::draw::Event;

/// After a fault has healed, an address that moved is back within seconds; requests that fail until then are the fault's.
const AFTERMATH_MS: i64 = 20_000;

/// An event that struck.
#[derive(Clone, Debug)]
pub struct Struck {
    /// The event.
    pub event: Event,
    /// The position that was at work.
    pub position: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// When the fault itself was over.
    pub healed_ms: Option<i64>,
    /// From the fault until the host's lane went on with its next step.
    pub continued: Option<Duration>,
    /// Commands that the person gave meanwhile.
    pub person: Vec<String>,
    /// What else was seen.
    pub remarks: Vec<String>,
}

impl Struck {
    /// How the run went on, in words.
    fn outcome(&self) -> String {
        let mut words = match (self.continued, self.person.as_slice()) {
            (None, _) => "did not go on".to_owned(),
            (Some(_), []) => "went on by itself".to_owned(),
            (Some(_), person) => {
                let commands: Vec<String> =
                    person.iter().map(|words| format!("`{words}`")).collect();
                format!("stopped; {}", commands.join(", "))
            }
        };
        for remark in &self.remarks {
            words.push_str("; ");
            words.push_str(remark);
        }
        words
    }
}

/// A row of the table in `docs/reliability.md`.
impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.event.place;
        let time = match self.continued {
            Some(time) => format!("{:.1} s", time.as_secs_f64()),
            None => "-".to_owned(),
        };
        write!(
            f,
            "| {} | {} | {} | {} | {} | {time} |",
            self.event.fault.word(),
            place.host,
            place.slot,
            place.step,
            self.outcome()
        )
    }
}

/// What the client wrote down.
#[derive(Debug, Deserialize)]
pub struct Client {
    began_unix_ms: i64,
    failed_at_ms: Vec<i64>,
    /// All requests.
    pub total: u64,
}

/// Requests that failed: those that no fault excuses, as milliseconds since 1970, and the number of the others.
pub fn unexcused(client: &Client, struck: &[Struck]) -> (Vec<i64>, usize) {
    let excused = |at: i64| {
        struck.iter().any(|one| {
            let lasted = i64::try_from(one.event.fault.lasts_s()).unwrap_or(i64::MAX);
            let healed = one.healed_ms.unwrap_or(one.at_ms);
            let until = healed.max(one.at_ms + lasted * 1_000) + AFTERMATH_MS;
            one.event.fault.takes_site_away(&one.event.place) && (one.at_ms..=until).contains(&at)
        })
    };
    let failed = client.failed_at_ms.iter();
    let (of_faults, others): (Vec<i64>, Vec<i64>) = failed
        .map(|at| client.began_unix_ms + at)
        .partition(|at| excused(*at));
    (others, of_faults.len())
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::super::place::Place;
    use super::*;

    fn struck(fault: Fault, slot: &'static str) -> Struck {
        let place = Place {
            host: "web1",
            slot,
            step: "x",
        };
        Struck {
            event: Event { fault, place },
            position: "p@web1".into(),
            at_ms: 1_000_000,
            healed_ms: Some(1_015_000),
            continued: Some(Duration::from_millis(2_340)),
            person: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_row_tells_what_was_done() {
        let mut one = struck(Fault::Power, "change");
        assert_eq!(
            one.to_string(),
            "| power | web1 | change | x | went on by itself | 2.3 s |"
        );
        one.person.push("overhaul resume r".into());
        one.remarks.push("seen".into());
        assert_eq!(
            one.to_string(),
            "| power | web1 | change | x | stopped; `overhaul resume r`; seen | 2.3 s |"
        );
    }

    #[test]
    fn only_what_a_fault_takes_away_may_fail() {
        let client = Client {
            began_unix_ms: 900_000,
            failed_at_ms: vec![10, 100_500, 134_000, 136_000],
            total: 5_000,
        };
        let serving = [struck(Fault::Power, "prepare")];
        assert_eq!(unexcused(&client, &serving), (vec![900_010, 1_036_000], 2));
        let stopped = [struck(Fault::Power, "change")];
        assert_eq!(unexcused(&client, &stopped).0.len(), 4);
    }
}
