//! When a plan may run, and where the expected lengths of its steps come from.

use crate::id::{HostName, StepId};
use crate::plan::Plan;
use crate::span::Span;
use crate::step::Step;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a plan says about time. Empty when nothing was said and nothing was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// When it may run.
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    pub calendar: Calendar,
    /// How long the work of the stage `prepare` counts before the stage `upgrade` of its host begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prework: Option<Span>,
    /// Expected lengths that are not the shipped ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expected: BTreeMap<StepId, Expected>,
}

impl Timing {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How long a step is expected to take, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// How it is known.
    pub basis: Basis,
    /// The length on a host that has none of its own.
    pub length: Span,
    /// The length on hosts of which enough is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<HostName, Span>,
}

/// How an expected length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Basis {
    /// A figure that comes with the program or the kind, scaled by measured sizes where there are any.
    Shipped,
    /// The step's `expected:`.
    Written,
    /// Earlier runs of the fleet.
    Recorded {
        /// How many runs.
        runs: u32,
        /// How many lengths, over all hosts.
        samples: u32,
    },
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped => f.pad("shipped default"),
            Self::Written => f.pad("written"),
            Self::Recorded { runs: 1, .. } => f.pad("1 recorded run"),
            Self::Recorded { runs, .. } => f.pad(&format!("{runs} recorded runs")),
        }
    }
}

impl Plan {
    /// How long a step is expected to take on a host, nothing failing and nobody waited for.
    pub fn expected(&self, step: &Step, host: Option<&HostName>) -> Span {
        let Some(expected) = self.timing.expected.get(&step.id) else {
            return step.limits.expected;
        };
        let of_host = host.and_then(|host| expected.hosts.get(host));
        *of_host.unwrap_or(&expected.length)
    }

    /// How the expected length of a step is known.
    pub fn basis(&self, step: &StepId) -> Basis {
        let expected = self.timing.expected.get(step);
        expected.map_or(Basis::Shipped, |expected| expected.basis)
    }
}

/// When a plan may run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Nothing begins before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// All is over by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Moment>,
    /// Spans in which nothing may be under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
}

/// A moment, and the words in which people wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The moment.
    pub at: Timestamp,
    /// As written, with its time zone.
    pub written: String,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// A span in which nothing may be under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its first moment.
    pub from: Moment,
    /// The first moment after it.
    pub to: Moment,
    /// Why.
    pub reason: String,
}

/// Why something may not be under way, and from when on it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The reason, as a part of a sentence.
    pub why: String,
    /// The first moment at which this reason is gone; `None`: it never is.
    pub until: Option<Timestamp>,
}

impl Calendar {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something that begins at this moment and takes so long may be done.
    ///
    /// # Errors
    /// With the first reason why not.
    pub fn fits(&self, begins: Timestamp, length: Span) -> Result<(), Closed> {
        let ends = length.after(begins);
        if let Some(not_before) = &self.not_before
            && begins < not_before.at
        {
            return Err(Closed {
                why: format!("nothing begins before {not_before}"),
                until: Some(not_before.at),
            });
        }
        let in_the_way = |freeze: &&Freeze| begins < freeze.to.at && ends > freeze.from.at;
        let freeze = self.freeze.iter().filter(in_the_way);
        if let Some(freeze) = freeze.min_by_key(|freeze| freeze.from.at) {
            let Freeze { from, to, reason } = freeze;
            return Err(Closed {
                why: format!("nothing is under way from {from} to {to}: {reason}"),
                until: Some(to.at),
            });
        }
        match &self.not_after {
            Some(not_after) if ends > not_after.at => Err(Closed {
                why: format!("all is over by {not_after}"),
                until: None,
            }),
            _ => Ok(()),
        }
    }

    /// The first moment from this one on at which something of this length may begin.
    pub fn earliest(&self, from: Timestamp, length: Span) -> Option<Timestamp> {
        let mut moment = from;
        // Each reason is passed once at most.
        for _ in 0..self.freeze.len().saturating_add(2) {
            match self.fits(moment, length) {
                Ok(()) => return Some(moment),
                Err(closed) => moment = closed.until?,
            }
        }
        None
    }

    /// The moment by which what is under way now must be over: the calendar's end, or the next freeze.
    pub fn over_by(&self, now: Timestamp) -> Option<&Moment> {
        let ahead = self.freeze.iter().map(|freeze| &freeze.from);
        let ahead = ahead.filter(|from| from.at >= now);
        ahead.chain(&self.not_after).min_by_key(|moment| moment.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(hour: i64) -> Moment {
        Moment {
            at: Timestamp::from_second(hour * 3_600).unwrap(),
            written: format!("hour {hour}"),
        }
    }

    /// Open from hour 10 to 100, but for 20 to 30 and 50 to 60.
    fn calendar() -> Calendar {
        let freeze = |from, to, reason: &str| Freeze {
            from: moment(from),
            to: moment(to),
            reason: reason.to_owned(),
        };
        Calendar {
            not_before: Some(moment(10)),
            not_after: Some(moment(100)),
            freeze: vec![freeze(20, 30, "accounts"), freeze(50, 60, "holiday")],
        }
    }

    #[test]
    fn a_calendar_says_when_something_may_be_under_way_and_why_not() {
        let cases = [
            ((5, 1), "nothing begins before hour 10, until 10", Some(10)),
            ((10, 10), "fits", Some(10)),
            (
                (10, 11),
                "nothing is under way from hour 20 to hour 30: accounts, until 30",
                Some(30),
            ),
            (
                (29, 5),
                "nothing is under way from hour 20 to hour 30: accounts, until 30",
                Some(30),
            ),
            ((30, 20), "fits", Some(30)),
            (
                (45, 30),
                "nothing is under way from hour 50 to hour 60: holiday, until 60",
                Some(60),
            ),
            ((60, 40), "fits", Some(60)),
            ((60, 41), "all is over by hour 100, for good", None),
            ((5, 50), "nothing begins before hour 10, until 10", None),
            ((101, 0), "all is over by hour 100, for good", None),
        ];
        for ((begins, hours), expected, earliest) in cases {
            let (begins, length) = (moment(begins).at, Span::from_s(hours * 3_600));
            let words = match calendar().fits(begins, length) {
                Ok(()) => "fits".to_owned(),
                Err(Closed { why, until: None }) => format!("{why}, for good"),
                Err(Closed {
                    why,
                    until: Some(until),
                }) => {
                    format!("{why}, until {}", until.as_second() / 3_600)
                }
            };
            assert_eq!(words, expected);
            let found = calendar().earliest(begins, length);
            assert_eq!(
                found.map(|at| at.as_second() / 3_600),
                earliest,
                "{expected}"
            );
        }
        let over_by = |hour: i64| {
            calendar()
                .over_by(moment(hour).at)
                .map(|m| m.written.clone())
        };
        assert_eq!(over_by(15).as_deref(), Some("hour 20"));
        assert_eq!(over_by(25).as_deref(), Some("hour 50"));
        assert_eq!(over_by(70).as_deref(), Some("hour 100"));
        assert_eq!(Calendar::default().over_by(moment(1).at), None);
    }

    proptest! {
        #[test]
        fn what_is_found_fits_and_nothing_earlier_does(from in 0_i64..120, hours in 0_u64..60) {
            let length = Span::from_s(hours * 3_600);
            let fits = |hour: i64| calendar().fits(moment(hour).at, length).is_ok();
            let first = (from..200).find(|hour| fits(*hour));
            let found = calendar().earliest(moment(from).at, length);
            prop_assert_eq!(found.map(|at| at.as_second() / 3_600), first);
        }
    }
}
