//! When the power goes, and what the disk loses: drawn from a seed.

use sha2::{Digest, Sha256};
use std::fmt;

use super::job::{Class, class};
use crate::lab::guest::{Aim, HOST, Loss};

/// In the first step nothing is repeated yet.
const FIRST_STEP: usize = 1;

/// Moments of one run, at most: every second step.
pub const CUTS_MAX: usize = 11;

/// What is being written when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writing {
    /// The receipt's beginning: its intent is in the journal, its work has not begun.
    Beginning,
    /// The work's own first line.
    Work,
    /// The receipt's end: its work is done.
    End,
}

impl Writing {
    /// The order in which moments take them.
    const TURNS: [Self; 5] = [
        Self::Beginning,
        Self::End,
        Self::Work,
        Self::Beginning,
        Self::End,
    ];

    /// Flushes from the first write on until the whole is on the disk, at most: each file and each folder is synced, and a sync flushes
    /// twice, before and behind the record of the file system's own journal.
    fn flushes(self) -> u64 {
        match self {
            Self::Beginning => 6,
            Self::Work => 2,
            Self::End => 4,
        }
    }

    /// The texts by which its write is known on the disk: a receipt's beginning names its step, its end comes behind that.
    fn texts(self, step: &str) -> Vec<String> {
        let beginning = format!("/{step}@{HOST}\",\"step\":");
        match self {
            Self::Beginning => vec![beginning],
            Self::Work => vec![beginning, format!("begun {step} ")],
            Self::End => vec![beginning, ",\"end\":{".to_owned()],
        }
    }
}

impl fmt::Display for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Beginning => "its receipt's beginning",
            Self::Work => "its work's first line",
            Self::End => "its receipt's end",
        })
    }
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The step's place in the job.
    pub step: usize,
    /// What is being written.
    pub writing: Writing,
    /// Flushes since the write that are honoured.
    pub flushes: u64,
    /// What becomes of what was not flushed.
    pub loss: Loss,
}

impl Moment {
    /// As the disk is told of it.
    pub fn aim(&self, step: &str) -> Aim {
        Aim {
            texts: self.writing.texts(step),
            flushes: self.flushes,
            loss: self.loss,
        }
    }
}

/// So many moments in order, each in another step: the steps are cut into equal parts, one for each moment. Behind each of them a whole step comes
/// before the next one: when that has begun, the disk is told of the next moment. What is being written changes from moment to moment, so that few of them
/// already have all of it.
pub fn drawn(seed: u64, count: usize, steps: &[&str]) -> Vec<Moment> {
    let choosable = steps.len().saturating_sub(FIRST_STEP);
    let count = count.min(choosable).min(CUTS_MAX);
    let mut turns: Vec<usize> = (0..count).collect();
    turns.sort_by_key(|turn| number(seed, "turn", *turn));
    let moment = |(at, turn): (usize, usize)| {
        let (from, to) = (at * choosable / count, (at + 1) * choosable / count);
        let span = u64::try_from(to.saturating_sub(from + 1))
            .unwrap_or(1)
            .max(1);
        let within = usize::try_from(number(seed, "step", at) % span).unwrap_or(0);
        let step = FIRST_STEP + from + within;
        let is_file = steps.get(step).and_then(|step| class(step)) == Some(Class::File);
        let writing = match Writing::TURNS.get(turn % Writing::TURNS.len()) {
            Some(Writing::Work) if !is_file => Writing::Work,
            Some(Writing::Beginning) => Writing::Beginning,
            // overhaul's own work on a file leaves no line.
            Some(Writing::Work | Writing::End) | None => Writing::End,
        };
        Moment {
            step,
            writing,
            flushes: number(seed, "flush", at) % writing.flushes(),
            loss: match number(seed, "loss", at) % 3 {
                0 => Loss::All,
                1 => Loss::Nothing,
                _ => Loss::Some(number(seed, "pieces", at)),
            },
        }
    };
    turns.into_iter().enumerate().map(moment).collect()
}

fn number(seed: u64, what: &str, at: usize) -> u64 {
    let digest = Sha256::digest(format!("{seed} {what} {at}"));
    let first = digest.iter().take(8);
    first.fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::job::STEPS;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn moments_follow_from_the_seed_and_lie_in_all_that_is_written() {
        for seed in 0..50 {
            let moments = drawn(seed, 8, &STEPS);
            assert_eq!(moments, drawn(seed, 8, &STEPS));
            let steps: Vec<usize> = moments.iter().map(|moment| moment.step).collect();
            assert!(steps.is_sorted_by(|one, two| one + 1 < *two), "{steps:?}");
            assert!(steps.iter().all(|step| (1..24).contains(step)), "{steps:?}");
            let written: BTreeSet<Writing> = moments.iter().map(|m| m.writing).collect();
            assert!(
                written.contains(&Writing::Beginning) && written.contains(&Writing::End),
                "{moments:?}"
            );
            for moment in &moments {
                assert!(moment.flushes < moment.writing.flushes(), "{moment:?}");
                let of_file = class(STEPS[moment.step]) == Some(Class::File);
                assert!(!of_file || moment.writing != Writing::Work, "{moment:?}");
            }
        }
        assert_ne!(drawn(1, 8, &STEPS), drawn(2, 8, &STEPS));
        let most = drawn(1, CUTS_MAX, &STEPS);
        assert!(most.is_sorted_by(|one, two| one.step + 1 < two.step));
        assert_eq!(drawn(1, 100, &STEPS).len(), CUTS_MAX);
        assert_eq!(drawn(1, 0, &STEPS), []);
    }

    #[test]
    fn a_moment_is_known_by_what_is_written_before_it() {
        let moment = Moment {
            step: 3,
            writing: Writing::End,
            flushes: 2,
            loss: Loss::All,
        };
        let aim = Aim {
            texts: vec![
                "/once-04@guest1\",\"step\":".to_owned(),
                ",\"end\":{".to_owned(),
            ],
            flushes: 2,
            loss: Loss::All,
        };
        assert_eq!(moment.aim("once-04"), aim);
    }

    /// The words of receipts as the helper writes them.
    #[test]
    fn receipts_have_these_words() {
        use overhaul_model::receipt::{ReceiptBegin, ReceiptEnd};
        let begin = r#"{"key":"k","position":"upgrade/plain/change/once-04@guest1","step":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","generation":{"fleet":"f","run":"r","counter":1,"nonce":"n"},"sequence":1,"at":"2026-01-01T00:00:00Z","boot":{"boot_id":"b","init_started_ticks":1}}"#;
        let parsed: ReceiptBegin = serde_json::from_str(begin).unwrap();
        let end = r#"{"at":"2026-01-01T00:00:00Z","end":{"exited":{"code":0,"success":true}},"changed":true,"output_bytes":0,"sha256":null}"#;
        let ended: ReceiptEnd = serde_json::from_str(end).unwrap();
        let written = [
            serde_json::to_string(&parsed).unwrap(),
            serde_json::to_string(&ended).unwrap(),
        ];
        for (text, words) in written.iter().zip(Writing::End.texts("once-04")) {
            assert!(text.contains(&words), "{text}");
        }
    }
}
