//! Whether what lies on the disk, what the journal says and what people decided go together.

use std::collections::{BTreeMap, BTreeSet};

use super::job::{Class, STEPS, class};
use super::truth::Truth;

/// What is held against each other.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// What lies on the disk.
    pub truth: &'a Truth,
    /// Steps that the journal says are done.
    pub done: &'a BTreeSet<String>,
    /// How often a person let a step begin again.
    pub retried: &'a BTreeMap<String, usize>,
    /// Steps that a person said were done.
    pub told: &'a BTreeSet<String>,
    /// Power cuts so far.
    pub cuts: usize,
    /// Whether the run is over.
    pub over: bool,
}

/// What is wrong, as sentences; nothing when all laws are kept.
pub fn breaches(seen: &Seen<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for step in STEPS {
        let Some(class) = class(step) else {
            continue;
        };
        once_only(seen, step, class, &mut out);
        if seen.done.contains(step) {
            done_is_done(seen, step, class, &mut out);
        } else if seen.over {
            out.push(format!("{step}: the run is over, and it is not done"));
        }
    }
    one_at_a_time(seen, &mut out);
    out
}

fn once_only(seen: &Seen<'_>, step: &str, class: Class, out: &mut Vec<String>) {
    let (begun, done) = seen.truth.count(step);
    let retried = seen.retried.get(step).copied().unwrap_or(0);
    if class == Class::Once && begun > 1 + retried {
        out.push(format!(
            "{step}: begun {begun} times, of which a person wanted {retried}"
        ));
    }
    if [Class::Once, Class::Look].contains(&class) && done > 1 {
        out.push(format!("{step}: done {done} times"));
    }
}

/// The journal says so: then the effect is on the disk, and a receipt that tells of it.
fn done_is_done(seen: &Seen<'_>, step: &str, class: Class, out: &mut Vec<String>) {
    let truth = seen.truth;
    let content = truth.contents.get(step).map(String::as_str);
    // `look` shows ends of lines as `/`.
    let whole = content == Some(&format!("{step}/"));
    let is_there = match class {
        Class::Once | Class::Safe => truth.count(step).1 > 0 && whole,
        Class::Look | Class::File => whole,
    };
    if !is_there {
        out.push(format!(
            "{step}: the journal says that it is done, and its effect is not on the disk (its file: {content:?})"
        ));
    }
    let mut receipts = truth
        .receipts
        .values()
        .filter(|receipt| receipt.step == step);
    // What the command itself did not sync, its end has.
    let promised = receipts.clone().any(|receipt| receipt.synced);
    if promised && !truth.loose(std::iter::once(&step.to_owned())).is_empty() {
        out.push(format!(
            "{step}: its receipt says that all of it is on the disk, and a file that it wrote is not whole"
        ));
    }
    // What a check or a person settled needs no end.
    let has = match class {
        Class::Once if seen.told.contains(step) => receipts.any(|receipt| receipt.begun),
        Class::Once | Class::Safe => receipts.any(|receipt| receipt.begun && receipt.ended),
        Class::Look | Class::File => receipts.any(|receipt| receipt.begun),
    };
    if !has {
        out.push(format!(
            "{step}: the journal says that it is done, and no receipt on the disk says so"
        ));
    }
}

/// Work that has begun is done before other work begins, unless the power went.
fn one_at_a_time(seen: &Seen<'_>, out: &mut Vec<String>) {
    let effects = &seen.truth.effects;
    let cut_off = |(at, line): (usize, &super::truth::Effect)| {
        let followed = effects
            .get(at + 1)
            .is_some_and(|next| next.done && next.step == line.step);
        !line.done && !followed && at + 1 < effects.len()
    };
    let count = effects
        .iter()
        .enumerate()
        .filter(|one| cut_off(*one))
        .count();
    if count > seen.cuts {
        out.push(format!(
            "{count} times other work began before what had begun was done, with {} power cuts",
            seen.cuts
        ));
    }
}

/// Where an attempt stood when the power went, by what is on the disk.
pub fn place(truth: &Truth, key: &str, step: &str) -> &'static str {
    let before = |done: bool| {
        let mut lines = truth.effects.iter();
        lines.any(|line| line.step == step && line.done == done && line.boot != truth.boot)
    };
    let is_file = class(step) == Some(Class::File);
    match truth.receipts.get(key) {
        None => "its beginning was not on the disk",
        Some(receipt) if receipt.ended => "its end was on the disk",
        Some(_) if is_file => "begun, without an end",
        Some(_) if before(true) => "its work was done, its end not on the disk",
        Some(_) if before(false) => "in the midst of its work",
        Some(_) => "begun, its work not yet",
    }
}

#[cfg(test)]
mod tests {
    use super::super::truth::{Effect, Receipt};
    use super::*;

    fn line(said: &str, step: &str, boot: &str) -> Effect {
        Effect {
            done: said == "done",
            step: step.to_owned(),
            boot: boot.to_owned(),
        }
    }

    fn receipt(step: &str, ended: bool) -> (String, Receipt) {
        let receipt = Receipt {
            step: step.to_owned(),
            begun: true,
            ended,
            synced: ended,
        };
        (format!("key-{step}"), receipt)
    }

    /// All steps done as they should be.
    fn whole() -> Truth {
        let effects = STEPS.iter().filter(|step| !step.starts_with("file"));
        Truth {
            boot: "b1".into(),
            effects: effects
                .flat_map(|step| [line("begun", step, "b1"), line("done", step, "b1")])
                .collect(),
            contents: STEPS
                .iter()
                .flat_map(|step| {
                    [(*step).to_owned(), format!("loose-{step}")]
                        .map(|name| (name, format!("{step}/")))
                })
                .collect(),
            receipts: STEPS.iter().map(|step| receipt(step, true)).collect(),
        }
    }

    fn judged(truth: &Truth, retried: &[(&str, usize)], told: &[&str], cuts: usize) -> Vec<String> {
        breaches(&Seen {
            truth,
            done: &STEPS.iter().map(|step| (*step).to_owned()).collect(),
            retried: &retried
                .iter()
                .map(|(step, n)| ((*step).to_owned(), *n))
                .collect(),
            told: &told.iter().map(|step| (*step).to_owned()).collect(),
            cuts,
            over: true,
        })
    }

    #[test]
    fn a_run_in_which_all_went_well_breaks_no_law() {
        assert_eq!(judged(&whole(), &[], &[], 0), [""; 0]);
    }

    #[test]
    fn each_breach_is_found() {
        let mut twice = whole();
        twice.effects.extend([
            line("begun", "once-01", "b2"),
            line("done", "once-01", "b2"),
        ]);
        assert_eq!(
            judged(&twice, &[], &[], 1),
            [
                "once-01: begun 2 times, of which a person wanted 0",
                "once-01: done 2 times"
            ]
        );
        let mut again = whole();
        again.effects.insert(0, line("begun", "once-01", "b0"));
        assert_eq!(judged(&again, &[("once-01", 1)], &[], 1), [""; 0]);
        assert_eq!(
            judged(&again, &[("once-01", 1)], &[], 0),
            ["1 times other work began before what had begun was done, with 0 power cuts"]
        );
        let mut empty = whole();
        empty.contents.insert("file-05".into(), String::new());
        assert_eq!(
            judged(&empty, &[], &[], 0),
            [
                "file-05: the journal says that it is done, and its effect is not on the disk (its file: Some(\"\"))"
            ]
        );
        let mut loose = whole();
        loose.contents.remove("loose-safe-02");
        assert_eq!(
            judged(&loose, &[], &[], 1),
            [
                "safe-02: its receipt says that all of it is on the disk, and a file that it wrote is not whole"
            ]
        );
        let unsynced = loose.receipts.get_mut("key-safe-02").unwrap();
        unsynced.synced = false;
        assert_eq!(judged(&loose, &[], &[], 1), [""; 0]);
        let mut lost = whole();
        lost.effects.retain(|line| line.step != "safe-02");
        lost.receipts.extend([receipt("safe-02", false)]);
        assert_eq!(judged(&lost, &[], &[], 0).len(), 2);
        let mut told = whole();
        told.receipts
            .extend([receipt("once-04", false), receipt("look-03", false)]);
        assert_eq!(judged(&told, &[], &["once-04"], 0), [""; 0]);
        assert_eq!(
            judged(&told, &[], &[], 0),
            ["once-04: the journal says that it is done, and no receipt on the disk says so"]
        );
    }

    #[test]
    fn a_step_that_is_left_at_the_end_is_a_breach() {
        let (truth, none) = (Truth::default(), BTreeSet::new());
        let mut seen = Seen {
            truth: &truth,
            done: &none,
            retried: &BTreeMap::new(),
            told: &none,
            cuts: 0,
            over: false,
        };
        assert_eq!(breaches(&seen), [""; 0]);
        seen.over = true;
        assert_eq!(breaches(&seen).len(), STEPS.len());
    }

    #[test]
    fn the_place_of_a_cut_is_told_by_what_was_there_before_it() {
        let mut truth = Truth {
            boot: "b2".into(),
            ..Truth::default()
        };
        let place = |truth: &Truth| place(truth, "key-once-01", "once-01");
        assert_eq!(place(&truth), "its beginning was not on the disk");
        truth.receipts.extend([receipt("once-01", false)]);
        truth.effects.push(line("begun", "once-01", "b2"));
        assert_eq!(place(&truth), "begun, its work not yet");
        truth.effects.insert(0, line("begun", "once-01", "b1"));
        assert_eq!(place(&truth), "in the midst of its work");
        truth.effects.insert(1, line("done", "once-01", "b1"));
        assert_eq!(place(&truth), "its work was done, its end not on the disk");
        truth.receipts.extend([receipt("once-01", true)]);
        assert_eq!(place(&truth), "its end was on the disk");
    }
}
