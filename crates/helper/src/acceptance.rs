//! Which controller may act on this host. Pure, so that every order of requests can be explored.

#[cfg(test)]
mod race;

use overhaul_model::event::Generation;
use overhaul_model::id::AttemptKey;
use overhaul_model::planted;
use overhaul_model::wire::Refusal;
use std::collections::BTreeSet;

/// Attempts that one controller may rule out. Each was asked for, got lost on its way and was asked after: a host
/// with so many has another trouble, and what is ruled out is read before every step.
pub const RULED_OUT_MAX: usize = 1_024;

/// A registration that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// The host was free.
    Taken,
    /// The same generation holds it already: nothing is to be stored.
    Again,
    /// A newer controller of the same run takes it over.
    Succeeded,
}

/// Whether the asking generation may become the holder. `last` is the generation that held the host
/// last: once it was released, nothing that its run had sent before may land any more.
///
/// # Errors
/// When another run holds the host, or a controller of the same run that is newer or equally new.
pub fn accept(
    held: Option<&Generation>,
    last: Option<&Generation>,
    asked: &Generation,
) -> Result<Accept, Refusal> {
    let Some(held) = held else {
        return match last {
            Some(last) if same_run(last, asked) && asked.counter <= last.counter => {
                Err(Refusal::Outdated { held: last.counter })
            }
            _ => Ok(Accept::Taken),
        };
    };
    if held == asked {
        return Ok(Accept::Again);
    }
    let is_newer = asked.counter > held.counter || planted::is("older-is-accepted");
    if same_run(held, asked) && is_newer {
        return Ok(Accept::Succeeded);
    }
    Err(conflict(held, asked))
}

/// Whether the asking generation is the holder, as every act demands.
///
/// # Errors
/// When it is not.
pub fn demand(held: Option<&Generation>, asked: &Generation) -> Result<(), Refusal> {
    match held {
        _ if planted::is("generation-check-off") => Ok(()),
        None => Err(Refusal::NotRegistered),
        Some(held) if held == asked => Ok(()),
        Some(held) => Err(conflict(held, asked)),
    }
}

/// What is done about an attempt that may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Its receipt is made, then its work begins.
    Fresh,
    /// It has a receipt: nothing is done but to follow it.
    Known,
}

/// Whether the asking generation may begin an attempt. `ruled_out` are those of which the host has told this
/// generation that they never began: a request that comes after such an answer must not make it a lie. `at_work` is
/// an earlier attempt at the same step that has no end yet: nothing is done twice at one time.
///
/// # Errors
/// When it is not the holder, the attempt was ruled out, or an earlier one is at work.
pub fn begin(
    held: Option<&Generation>,
    ruled_out: &BTreeSet<AttemptKey>,
    has_receipt: bool,
    at_work: Option<&AttemptKey>,
    asked: &Generation,
    key: &AttemptKey,
) -> Result<Begin, Refusal> {
    demand(held, asked)?;
    if has_receipt && !planted::is("receipt-overlooked") {
        return Ok(Begin::Known);
    }
    if ruled_out.contains(key) && !planted::is("ruled-out-forgotten") {
        return Err(Refusal::RuledOut);
    }
    if let Some(earlier) = at_work {
        let key = earlier.clone();
        return Err(Refusal::StillAtWork { key });
    }
    Ok(Begin::Fresh)
}

/// Whether an attempt without a receipt may be told as never begun; `true` when it must be put with `ruled_out` first,
/// durably. Requests of older generations need no such mark: [`demand`] turns them away.
///
/// # Errors
/// When the asking generation is not the holder, or has ruled out [`RULED_OUT_MAX`] attempts.
pub fn rule_out(
    held: Option<&Generation>,
    ruled_out: &BTreeSet<AttemptKey>,
    asked: &Generation,
    key: &AttemptKey,
) -> Result<bool, Refusal> {
    demand(held, asked)?;
    if ruled_out.contains(key) {
        return Ok(false);
    }
    if ruled_out.len() >= RULED_OUT_MAX {
        let why = format!("{RULED_OUT_MAX} attempts are ruled out already");
        return Err(Refusal::Store { why });
    }
    Ok(true)
}

/// Whether the host becomes free when the asking generation gives it up. A host that is free already
/// stays so: the answer to the first release may have been lost on its way.
///
/// # Errors
/// When somebody else holds it.
pub fn release(held: Option<&Generation>, asked: &Generation) -> Result<(), Refusal> {
    match held {
        None => Ok(()),
        Some(_) => demand(held, asked),
    }
}

fn same_run(one: &Generation, other: &Generation) -> bool {
    one.fleet == other.fleet && one.run == other.run
}

/// Why `asked`, which is not the holder, is turned away.
fn conflict(held: &Generation, asked: &Generation) -> Refusal {
    if !same_run(held, asked) {
        return Refusal::OtherRun {
            fleet: held.fleet.clone(),
            run: held.run.as_str().to_owned(),
            counter: held.counter,
        };
    }
    match asked.counter.cmp(&held.counter) {
        std::cmp::Ordering::Less => Refusal::Outdated { held: held.counter },
        std::cmp::Ordering::Equal => Refusal::Contested { held: held.counter },
        std::cmp::Ordering::Greater => Refusal::NotRegistered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::id::{Nonce, RunId};

    fn generation(fleet: &str, run: &str, counter: u64, nonce: &str) -> Generation {
        Generation {
            fleet: fleet.to_owned(),
            run: RunId::new(run),
            counter,
            nonce: Nonce::new(nonce),
        }
    }

    /// All generations of a small world: two fleets, two runs, three counters, two nonces.
    fn world() -> Vec<Generation> {
        let mut all = Vec::new();
        for fleet in ["f", "g"] {
            for run in ["r", "s"] {
                for counter in 1..=3 {
                    for nonce in ["x", "y"] {
                        all.push(generation(fleet, run, counter, nonce));
                    }
                }
            }
        }
        all
    }

    #[test]
    fn a_registration_is_judged_by_fleet_run_counter_and_nonce() {
        let held = generation("f", "r", 2, "x");
        let outdated = Err(Refusal::Outdated { held: 2 });
        let other = Err(Refusal::OtherRun {
            fleet: "f".to_owned(),
            run: "r".to_owned(),
            counter: 2,
        });
        for (asked, expected) in [
            (generation("f", "r", 2, "x"), Ok(Accept::Again)),
            (generation("f", "r", 3, "x"), Ok(Accept::Succeeded)),
            (generation("f", "r", 9, "y"), Ok(Accept::Succeeded)),
            (generation("f", "r", 1, "x"), outdated.clone()),
            (generation("f", "r", 1, "y"), outdated),
            (
                generation("f", "r", 2, "y"),
                Err(Refusal::Contested { held: 2 }),
            ),
            (generation("f", "s", 9, "x"), other.clone()),
            (generation("g", "r", 9, "x"), other),
        ] {
            assert_eq!(
                accept(Some(&held), Some(&held), &asked),
                expected,
                "{asked:?}"
            );
        }
        assert_eq!(accept(None, None, &held), Ok(Accept::Taken));
    }

    #[test]
    fn after_a_release_only_newer_controllers_of_the_run_and_other_runs_come_in() {
        let last = generation("f", "r", 2, "x");
        let late = Err(Refusal::Outdated { held: 2 });
        for (asked, expected) in [
            (generation("f", "r", 1, "x"), late.clone()),
            (generation("f", "r", 2, "x"), late.clone()),
            (generation("f", "r", 2, "y"), late),
            (generation("f", "r", 3, "x"), Ok(Accept::Taken)),
            (generation("f", "s", 1, "x"), Ok(Accept::Taken)),
            (generation("g", "r", 1, "x"), Ok(Accept::Taken)),
        ] {
            assert_eq!(accept(None, Some(&last), &asked), expected, "{asked:?}");
        }
    }

    #[test]
    fn what_was_told_as_never_begun_is_not_begun_any_more() {
        let (held, other) = (generation("f", "r", 2, "x"), generation("f", "r", 1, "x"));
        let key = AttemptKey::new("a");
        let mut ruled_out = BTreeSet::new();
        let may = |ruled_out: &BTreeSet<AttemptKey>, has_receipt: bool, key: &AttemptKey| {
            begin(Some(&held), ruled_out, has_receipt, None, &held, key)
        };
        assert_eq!(may(&ruled_out, false, &key), Ok(Begin::Fresh));
        assert_eq!(may(&ruled_out, true, &key), Ok(Begin::Known));
        assert_eq!(rule_out(Some(&held), &ruled_out, &held, &key), Ok(true));
        ruled_out.insert(key.clone());
        assert_eq!(rule_out(Some(&held), &ruled_out, &held, &key), Ok(false));
        assert_eq!(may(&ruled_out, false, &key), Err(Refusal::RuledOut));
        let next = AttemptKey::new("b");
        assert_eq!(may(&ruled_out, false, &next), Ok(Begin::Fresh));
        let outdated = Err(Refusal::Outdated { held: 2 });
        assert_eq!(rule_out(Some(&held), &ruled_out, &other, &next), outdated);
        let more = (0..RULED_OUT_MAX).map(|n| AttemptKey::new(format!("{n}")));
        ruled_out.extend(more);
        let full = rule_out(Some(&held), &ruled_out, &held, &next);
        assert!(matches!(full, Err(Refusal::Store { .. })), "{full:?}");
    }

    #[test]
    fn nothing_is_begun_beside_an_earlier_attempt_at_the_same_step() {
        let held = generation("f", "r", 2, "x");
        let (first, second) = (AttemptKey::new("1"), AttemptKey::new("2"));
        let may = |has_receipt: bool, at_work: Option<&AttemptKey>| {
            let none = BTreeSet::new();
            begin(Some(&held), &none, has_receipt, at_work, &held, &second)
        };
        let key = first.clone();
        assert_eq!(may(false, Some(&first)), Err(Refusal::StillAtWork { key }));
        // Whoever asks again for what has begun only follows it.
        assert_eq!(may(true, Some(&first)), Ok(Begin::Known));
        assert_eq!(may(false, None), Ok(Begin::Fresh));
    }

    /// Over every pair of the small world: who was turned away once stays turned away, and only the
    /// holder itself may act.
    #[test]
    fn nobody_acts_or_returns_after_a_newer_one_was_accepted() {
        for held in world() {
            for asked in world() {
                assert_eq!(demand(Some(&held), &asked).is_ok(), held == asked);
                assert_eq!(release(Some(&held), &asked).is_ok(), held == asked);
                if accept(Some(&held), None, &asked) == Ok(Accept::Succeeded) {
                    assert!(
                        accept(Some(&asked), None, &held).is_err(),
                        "{held:?} {asked:?}"
                    );
                    assert!(demand(Some(&asked), &held).is_err());
                }
            }
            assert_eq!(demand(None, &held), Err(Refusal::NotRegistered));
            assert_eq!(release(None, &held), Ok(()));
        }
    }
}
