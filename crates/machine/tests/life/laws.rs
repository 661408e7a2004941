//! What must hold whatever happens, said again without the machine's own words.

use crate::driver::Life;
use overhaul_machine::{HostLink, Run, StepState};
use overhaul_model::action::Repeat;
use overhaul_model::event::{Choice, Event, Outcome, Record, Settlement, Sitting, Until};
use overhaul_model::id::{HostName, Position, StepId};
use overhaul_model::plan::{Block, Child, Turns};
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::BTreeSet;

/// A step begins only when everything before it is over, but for hosts that were left for later; and only
/// where the limits and the day of its host allow it.
pub fn before(life: &Life, record: &Record) {
    if let Event::Started { position, .. } = &record.event {
        let order = Order {
            run: &life.run,
            passed: postponed_ever(&life.records),
        };
        let root = Child::Block(&life.run.plan().root);
        assert!(
            order.may_begin(root, None, position) == Some(true),
            "{position} begins too early"
        );
        inner_scopes_first(&life.run, position);
        lane_in_order(&life.run, position);
        let host = position.host.as_ref().unwrap();
        let days = postponed_now(&life.records);
        assert!(!days.contains(host), "{host} is postponed");
        if let Some(sitting) = sitting(&life.records).filter(|_| !life.run.is_aborting()) {
            within(&life.run, sitting, position);
        }
    }
}

fn postponed_ever(records: &[Record]) -> BTreeSet<HostName> {
    let hosts = records.iter().filter_map(|record| match &record.event {
        Event::Decided(decision) => match &decision.choice {
            Choice::Postpone { host, .. } => Some(host.clone()),
            _ => None,
        },
        _ => None,
    });
    hosts.collect()
}

pub fn was_postponed(records: &[Record]) -> bool {
    !postponed_ever(records).is_empty()
}

fn postponed_now(records: &[Record]) -> BTreeSet<HostName> {
    let mut now = BTreeSet::new();
    for record in records {
        match &record.event {
            Event::Decided(decision) => match &decision.choice {
                Choice::Postpone { host, .. } => drop(now.insert(host.clone())),
                Choice::TakeUp { host } | Choice::LeaveOut { host } => drop(now.remove(host)),
                _ => {}
            },
            Event::TakenUp { host } => drop(now.remove(host)),
            _ => {}
        }
    }
    now
}

fn sitting(records: &[Record]) -> Option<&Sitting> {
    let last = records.iter().rev().find_map(|record| match &record.event {
        Event::ControllerTook { .. } => Some(None),
        Event::Limited { sitting } => Some(Some(sitting)),
        _ => None,
    });
    last.flatten()
}

/// What begins lies within the limits, or is the close of a scope.
fn within(run: &Run, limits: &Sitting, position: &Position) {
    let mut all = Vec::new();
    scopes(&run.plan().root, &mut all);
    if all.iter().any(|(_, close, _)| close.id == position.step) {
        return;
    }
    let step = run.step(position).unwrap();
    let host = position.host.as_ref().unwrap();
    let hosts = limits.hosts.as_ref();
    assert!(hosts.is_none_or(|h| h.contains(host)), "{host} is outside");
    let stage = limits.stage.as_ref();
    assert!(stage.is_none_or(|s| *s == step.stage), "another stage");
    if let Some(Until::Step(last)) = &limits.until {
        let in_one_scope = all.iter().any(|(open, close, _)| {
            let scope = open.id.as_str().strip_suffix("/open").unwrap();
            let inside = |id: &StepId| id.as_str().starts_with(&format!("{scope}/"));
            assert!(inside(&close.id));
            inside(last) && inside(&position.step)
        });
        let behind = comes_after(&run.plan().root, last, &position.step);
        assert!(in_one_scope || !behind, "{position} comes after {last}");
    }
    // A scope that is opened can be closed within the limits.
    if let Some((open, close, _)) = all.iter().find(|(open, _, _)| open.id == position.step) {
        let scope = open.id.as_str().strip_suffix("open").unwrap();
        let parts = run.positions().map(|(p, _)| p.step);
        for part in parts.filter(|p| p.as_str().starts_with(scope) && *p != close.id) {
            let stage = limits.stage.as_ref();
            let of_part = &run.plan().step(&part).unwrap().stage;
            assert!(stage.is_none_or(|s| s == of_part), "{part} is outside");
        }
    }
}

/// Whether the second step is carried out after the first, by the order of the tree.
fn comes_after(block: &Block, first: &StepId, second: &StepId) -> bool {
    let has = |child: &Child<'_>, id: &StepId| {
        let own = match child {
            Child::Block(block) => block.id(),
            Child::Step(step) => &step.id,
        };
        own == id || id.as_str().starts_with(&format!("{own}/"))
    };
    let children = block.children();
    let place = |id: &StepId| children.iter().position(|child| has(child, id));
    match (place(first), place(second)) {
        (Some(a), Some(b)) if a == b => match children[a] {
            Child::Block(inner) => comes_after(inner, first, second),
            Child::Step(_) => false,
        },
        (Some(a), Some(b)) => {
            matches!(block, Block::Sequence { .. } | Block::Scope { .. }) && a < b
        }
        _ => false,
    }
}

/// Where rolls follow each other, a host's turns do too, postponed or not.
fn lane_in_order(run: &Run, position: &Position) {
    let Block::Sequence { blocks, .. } = &run.plan().root else {
        return;
    };
    let host = position.host.as_ref().unwrap();
    for block in blocks {
        if position
            .step
            .as_str()
            .starts_with(&format!("{}/", block.id()))
            || run.is_aborting()
        {
            return;
        }
        let Block::Roll { id, body, .. } = block else {
            continue;
        };
        let order = Order {
            run,
            passed: BTreeSet::new(),
        };
        let mut hosts = run.plan().rolls[id].batches.iter().flatten();
        let over = order.is_over(Child::Block(body), Some(host));
        assert!(!hosts.any(|h| h == host) || over, "{position} before {id}");
    }
}

/// The order of a plan, with hosts that nobody waits for.
struct Order<'r> {
    run: &'r Run,
    passed: BTreeSet<HostName>,
}

impl Order<'_> {
    /// Whether the position may begin, as far as this part of the tree says; `None` when it is not in it.
    fn may_begin(
        &self,
        child: Child<'_>,
        turn: Option<&HostName>,
        wanted: &Position,
    ) -> Option<bool> {
        let run = self.run;
        let over = |child: Child<'_>| self.is_over(child, turn);
        let block = match child {
            Child::Step(step) => {
                return (step.position(turn).as_ref() == Some(wanted)).then_some(true);
            }
            Child::Block(Block::Step(step)) => {
                return (step.position(turn).as_ref() == Some(wanted)).then_some(true);
            }
            Child::Block(block) => block,
        };
        match block {
            Block::Roll { id, body, .. } => {
                let host = wanted.host.as_ref()?;
                let inside = self.may_begin(Child::Block(body), Some(host), wanted)?;
                let turns = &run.plan().rolls[id];
                let batch = turns.batches.iter().position(|b| b.contains(host))?;
                let mut earlier = turns.batches[..batch].iter().flatten();
                let over = |h| self.passed.contains(h) || self.is_over(Child::Block(body), Some(h));
                Some(inside && earlier.all(over))
            }
            Block::Sequence { .. } | Block::Scope { .. } => {
                let mut all_over = true;
                for child in block.children() {
                    if let Some(inside) = self.may_begin(child, turn, wanted) {
                        let closes =
                            matches!(block, Block::Scope { close, .. } if close.id == wanted.step);
                        return Some(inside && (all_over || (closes && run.is_aborting())));
                    }
                    all_over &= over(child);
                }
                None
            }
            Block::Step(_) | Block::Parallel { .. } | Block::Repair { .. } => block
                .children()
                .into_iter()
                .find_map(|c| self.may_begin(c, turn, wanted)),
        }
    }

    fn is_over(&self, child: Child<'_>, turn: Option<&HostName>) -> bool {
        let run = self.run;
        let step_over = |step: &Step| step.position(turn).is_none_or(|p| run.state(&p).is_over());
        let block = match child {
            Child::Step(step) => return step_over(step),
            Child::Block(block) => block,
        };
        match block {
            Block::Step(step) => step_over(step),
            Block::Roll { id, body, .. } => {
                let mut hosts = run.plan().rolls[id].batches.iter().flatten();
                hosts.all(|h| self.passed.contains(h) || self.is_over(Child::Block(body), Some(h)))
            }
            Block::Repair { body, .. } => self.is_over(Child::Block(body), turn),
            Block::Sequence { .. } | Block::Parallel { .. } | Block::Scope { .. } => {
                block.children().into_iter().all(|c| self.is_over(c, turn))
            }
        }
    }
}

pub fn at_every_moment(life: &Life) {
    let open = life.run.positions().filter(|(_, state)| !state.is_over());
    let with_work: BTreeSet<HostName> = open.filter_map(|(position, _)| position.host).collect();
    assert_eq!(life.run.hosts_with_work(), with_work);
    at_once(&life.run);
    if let Some(Event::Started {
        position, attempt, ..
    }) = life.records.last().map(|r| &r.event)
    {
        once(life, position);
        let same = |r: &&Record| matches!(&r.event, Event::Started { position: p, attempt: a, .. } if p == position && a == attempt);
        let times = life.records.iter().filter(same).count();
        assert_eq!(times, 1, "attempt {attempt} of {position} was begun twice");
    }
}

/// Hosts that have an open position in a roll, for each roll.
pub fn under_way(run: &Run) -> BTreeSet<(StepId, HostName)> {
    let now = jiff::Timestamp::from_second(1_900_000_000).unwrap();
    let mut found = BTreeSet::new();
    for open in run.next(now).standing.open {
        let inside = |id: &&StepId| open.position.step.as_str().starts_with(&format!("{id}/"));
        let roll = run.plan().rolls.keys().find(inside).unwrap();
        found.insert((roll.clone(), open.position.host.unwrap()));
    }
    found
}

/// No turn begins while more hosts have failed than may.
pub fn budget(run: &Run, before: &BTreeSet<(StepId, HostName)>) {
    if under_way(run).is_subset(before) {
        return;
    }
    let mut failed: BTreeSet<HostName> = BTreeSet::new();
    for (position, state) in run.positions() {
        if state.is_bad() {
            failed.extend(position.host);
        }
    }
    let budget = run.plan().failure_budget as usize;
    assert!(
        failed.len() <= budget,
        "a turn began although {failed:?} had failed"
    );
}

/// A scope that is closed has no opened scope inside.
fn inner_scopes_first(run: &Run, position: &Position) {
    let mut all = Vec::new();
    scopes(&run.plan().root, &mut all);
    let Some((_, _, body)) = all.iter().find(|(_, close, _)| close.id == position.step) else {
        return;
    };
    let mut inner = Vec::new();
    scopes(body, &mut inner);
    for (open, close, _) in inner {
        let at = |step: &Step| step.position(position.host.as_ref());
        let opened = at(open).is_some_and(|p| matches!(run.state(&p), StepState::Done { .. }));
        let closed = at(close).is_none_or(|p| run.state(&p).is_over());
        assert!(!opened || closed, "{} is open inside", close.id);
    }
}

/// Never more hosts under way in a roll than it admits.
fn at_once(run: &Run) {
    let all = under_way(run);
    for (id, Turns { at_once, .. }) in &run.plan().rolls {
        let hosts: Vec<_> = all.iter().filter(|(roll, _)| roll == id).collect();
        assert!(
            hosts.len() <= *at_once as usize,
            "{} hosts at once in {id}",
            hosts.len()
        );
    }
}

/// What must happen once is begun again only when it certainly had not begun, or a person said so.
fn once(life: &Life, position: &Position) {
    let step = life.run.step(position).unwrap();
    if !matches!(step.repeat, Repeat::Once(_)) || !matches!(step.work, Primitive::Exec(_)) {
        return;
    }
    let mut allowed = true;
    for record in &life.records {
        match &record.event {
            Event::Started { position: p, .. } if p == position => {
                assert!(allowed, "{position} was begun twice");
                allowed = false;
            }
            Event::Settled {
                position: p,
                settlement,
                ..
            } if p == position => {
                allowed |= matches!(
                    settlement,
                    Settlement::NeverBegan | Settlement::Ended(Outcome::Failed { end: None, .. })
                );
            }
            Event::Ended {
                position: p,
                outcome,
                ..
            } if p == position => {
                allowed |= matches!(outcome, Outcome::Failed { end: None, .. });
            }
            Event::Decided(decision) => {
                allowed |= decision.choice
                    == Choice::Retry {
                        position: position.clone(),
                    };
            }
            _ => {}
        }
    }
}

/// What happened, a line for each event.
fn story(life: &Life) -> String {
    let lines = life
        .records
        .iter()
        .map(|r| format!("{} {:?}", r.seq, r.event));
    lines.collect::<Vec<_>>().join("\n")
}

/// Opened scopes are closed, registered hosts let go; and a fresh replay says the same.
pub fn at_the_end(life: &Life) {
    let run = &life.run;
    let replayed = Run::replay(life.opened_with.clone(), &life.records).unwrap();
    assert!(replayed == *run);
    let mut steps = Vec::new();
    scopes(&run.plan().root, &mut steps);
    for (open, close, _) in steps {
        for (position, state) in run.positions().filter(|(p, _)| p.step == open.id) {
            let close = close.position(position.host.as_ref());
            let opened = life.records.iter().any(|r| match &r.event {
                Event::Started { position: p, .. } => *p == position,
                _ => false,
            }) || matches!(state, StepState::Done { .. });
            if let Some(close) = close.filter(|_| opened) {
                assert!(
                    run.state(&close).is_over(),
                    "{close} is open\n{}",
                    story(life)
                );
            }
        }
    }
    for host in run.plan().hosts.keys() {
        let link = run.link(host);
        let registered = life
            .records
            .iter()
            .any(|r| matches!(&r.event, Event::HostRegistered { host: h, .. } if h == host));
        let let_go = matches!(link, Some(HostLink::Released | HostLink::LeftBehind { .. }));
        assert!(!registered || let_go, "{host} is {link:?}");
    }
}

fn scopes<'a>(block: &'a Block, out: &mut Vec<(&'a Step, &'a Step, &'a Block)>) {
    if let Block::Scope {
        open, close, body, ..
    } = block
    {
        out.push((open, close, body));
    }
    for child in block.children() {
        if let Child::Block(block) = child {
            scopes(block, out);
        }
    }
}
