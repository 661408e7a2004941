//! When the power goes, and what the disk loses: drawn from a seed.

use sha2::{Digest, Sha256};

use crate::lab::guest::Loss;

/// Steps before this one show how often the disk is flushed for a step.
const FIRST_STEP: usize = 2;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The step's place in the job.
    pub step: usize,
    /// After which part of the flushes of a usual step, in thousandths.
    pub per_mille: u64,
    /// What becomes of what was not flushed.
    pub loss: Loss,
}

impl Moment {
    /// After how many flushes, where a usual step has so many.
    pub fn flushes(&self, usual: u64) -> u64 {
        usual.saturating_mul(self.per_mille) / 1_000
    }
}

/// So many moments in order, each in another step. The steps are cut into equal parts, one for each moment; so are the flushes of a step, in an order
/// of their own, so that few moments already lie in all parts of a step.
pub fn drawn(seed: u64, count: usize, steps: usize) -> Vec<Moment> {
    let choosable = steps.saturating_sub(FIRST_STEP);
    let count = count.min(choosable);
    let mut parts: Vec<usize> = (0..count).collect();
    parts.sort_by_key(|part| number(seed, "part", *part));
    let moment = |(at, part): (usize, usize)| {
        let (from, to) = (at * choosable / count, (at + 1) * choosable / count);
        let within = |what: &str, from: usize, to: usize| {
            let span = u64::try_from(to.saturating_sub(from)).unwrap_or(1).max(1);
            from + usize::try_from(number(seed, what, at) % span).unwrap_or(0)
        };
        let per_mille = within("flush", part * 1_000 / count, (part + 1) * 1_000 / count);
        Moment {
            step: FIRST_STEP + within("step", from, to),
            per_mille: u64::try_from(per_mille).unwrap_or(0),
            loss: match number(seed, "loss", at) % 3 {
                0 => Loss::All,
                1 => Loss::Nothing,
                _ => Loss::Some(number(seed, "pieces", at)),
            },
        }
    };
    parts.into_iter().enumerate().map(moment).collect()
}

fn number(seed: u64, what: &str, at: usize) -> u64 {
    let digest = Sha256::digest(format!("{seed} {what} {at}"));
    let first = digest.iter().take(8);
    first.fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn moments_follow_from_the_seed_and_lie_in_all_parts() {
        for seed in 0..50 {
            let moments = drawn(seed, 8, 24);
            assert_eq!(moments, drawn(seed, 8, 24));
            let steps: Vec<usize> = moments.iter().map(|moment| moment.step).collect();
            assert!(steps.is_sorted_by(|one, two| one < two), "{steps:?}");
            assert!(steps.iter().all(|step| (2..24).contains(step)), "{steps:?}");
            let eighths: BTreeSet<u64> = moments.iter().map(|m| m.per_mille * 8 / 1_000).collect();
            assert_eq!(eighths.len(), 8, "{moments:?}");
        }
        assert_ne!(drawn(1, 8, 24), drawn(2, 8, 24));
        assert_eq!(drawn(1, 100, 24).len(), 22);
        assert_eq!(drawn(1, 0, 24), []);
    }

    #[test]
    fn a_part_of_a_step_is_a_number_of_flushes() {
        let moment = |per_mille| Moment {
            step: 3,
            per_mille,
            loss: Loss::All,
        };
        assert_eq!(moment(0).flushes(20), 0);
        assert_eq!(moment(999).flushes(20), 19);
    }
}
