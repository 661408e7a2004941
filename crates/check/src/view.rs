//! A plan as rules look at it: each host's steps in their order, and what is over already.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};
use overhaul_model::effects::{Effect, effects};
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::id::{HostName, Position, ServiceName, StepId};
use overhaul_model::plan::{Block, Child, Place, Plan, PlannedService, Turns};
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Deref;

/// A step with its effects: many rules ask for them, for each of the step's hosts.
#[derive(Debug)]
pub(crate) struct Act<'a> {
    pub step: &'a Step,
    pub effects: Vec<Effect>,
}

impl Deref for Act<'_> {
    type Target = Step;

    fn deref(&self) -> &Step {
        self.step
    }
}

impl<'a> Act<'a> {
    pub fn of(step: &'a Step) -> Self {
        Self {
            step,
            effects: effects(step),
        }
    }
}

/// Every step of a plan once, in the order of the tree.
pub(crate) fn acts(plan: &Plan) -> Vec<Act<'_>> {
    plan.steps().into_iter().map(Act::of).collect()
}

/// A roll with its turns and the steps of one turn.
pub(crate) struct Roll<'a> {
    pub block: &'a Block,
    pub turns: &'a Turns,
    pub acts: Vec<&'a Act<'a>>,
}

pub(crate) struct View<'a> {
    pub plan: &'a Plan,
    pub facts: &'a FleetFacts,
    pub settled: &'a BTreeSet<Position>,
    pub today: Date,
    /// When the plan would begin, or go on.
    pub begins: Timestamp,
    /// Every host of the plan, each with its steps in the order of the tree.
    pub lanes: BTreeMap<&'a HostName, Vec<&'a Act<'a>>>,
    /// Where steps stand in no such lane: those of the whole run, and of hosts that a wrong plan does not have.
    pub strays: Vec<Place<'a>>,
    /// Every step once, however many hosts it has.
    pub steps: &'a [Act<'a>],
    /// Every block, parents first.
    pub blocks: Vec<&'a Block>,
    /// Every roll that has turns, parents first.
    pub rolls: Vec<Roll<'a>>,
    /// Hosts on which nothing has begun, so that their state before the upgrade still matters.
    pub fresh: Vec<&'a HostName>,
    /// What is over in lanes of hosts.
    over: HashSet<(&'a HostName, &'a StepId)>,
    /// The rolls in which a host has turns.
    rolls_of: BTreeMap<&'a HostName, BTreeSet<usize>>,
    services_on: BTreeMap<&'a HostName, Vec<(&'a ServiceName, &'a PlannedService)>>,
}

impl<'a> View<'a> {
    pub fn new(
        plan: &'a Plan,
        steps: &'a [Act<'a>],
        facts: &'a FleetFacts,
        settled: &'a BTreeSet<Position>,
        begins: &Zoned,
    ) -> Self {
        let known = Known(steps.iter().map(|act| (place(act.step), act)).collect());
        let blocks = blocks(&plan.root);
        let rolls: Vec<Roll<'a>> = blocks
            .iter()
            .filter_map(|b| roll(plan, b, &known))
            .collect();
        let mut rolls_of: BTreeMap<&HostName, BTreeSet<usize>> = BTreeMap::new();
        for (number, roll) in rolls.iter().enumerate() {
            for host in roll.turns.batches.iter().flatten() {
                rolls_of.entry(host).or_default().insert(number);
            }
        }
        let mut services_on: BTreeMap<&HostName, Vec<_>> = BTreeMap::new();
        for (name, service) in &plan.services {
            for host in &service.hosts {
                services_on.entry(host).or_default().push((name, service));
            }
        }
        let over = settled.iter();
        let over: HashSet<_> = over
            .filter_map(|position| Some((position.host.as_ref()?, &position.step)))
            .collect();
        let (lanes, strays) = lanes(plan, &known);
        let untouched = |(host, acts): (&&'a HostName, &Vec<&Act<'a>>)| {
            let mut begun = acts
                .iter()
                .filter(|act| over.contains(&(*host, &act.step.id)));
            begun.next().is_none().then_some(*host)
        };
        Self {
            plan,
            facts,
            settled,
            today: begins.date(),
            begins: begins.timestamp(),
            fresh: lanes.iter().filter_map(untouched).collect(),
            lanes,
            strays,
            steps,
            blocks,
            rolls,
            over,
            rolls_of,
            services_on,
        }
    }

    /// Whether the step is over on this host.
    pub fn is_settled(&self, step: &Step, host: &HostName) -> bool {
        !self.over.is_empty() && self.over.contains(&(host, &step.id))
    }

    /// The facts of hosts on which nothing has begun, where there are any.
    pub fn fresh_facts(&self) -> impl Iterator<Item = (&'a HostName, &'a HostFacts)> + '_ {
        let fresh = self.fresh.iter();
        fresh.filter_map(|host| Some((*host, self.facts.get(*host)?)))
    }

    /// The rolls in which one of these hosts has a turn, parents first.
    pub fn rolls_with<'h>(
        &self,
        hosts: impl IntoIterator<Item = &'h HostName>,
    ) -> impl Iterator<Item = &Roll<'a>> {
        let numbers = hosts.into_iter().filter_map(|host| self.rolls_of.get(host));
        let numbers: BTreeSet<usize> = numbers.flatten().copied().collect();
        numbers.into_iter().filter_map(|n| self.rolls.get(n))
    }

    /// The services that run on a host.
    pub fn services_on(&self, host: &HostName) -> &[(&'a ServiceName, &'a PlannedService)] {
        self.services_on.get(host).map_or(&[], Vec::as_slice)
    }
}

/// The steps by where they lie in the plan: in a wrong plan an id may stand twice.
struct Known<'a>(HashMap<*const Step, &'a Act<'a>>);

fn place(step: &Step) -> *const Step {
    std::ptr::from_ref(step)
}

impl<'a> Known<'a> {
    fn act(&self, step: &Step) -> Option<&'a Act<'a>> {
        self.0.get(&place(step)).copied()
    }
}

fn blocks(root: &Block) -> Vec<&Block> {
    fn walk<'b>(block: &'b Block, out: &mut Vec<&'b Block>) {
        out.push(block);
        for child in block.children() {
            if let Child::Block(block) = child {
                walk(block, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(root, &mut out);
    out
}

fn roll<'a>(plan: &'a Plan, block: &'a Block, known: &Known<'a>) -> Option<Roll<'a>> {
    let Block::Roll { id, body, .. } = block else {
        return None;
    };
    let steps = body.steps().into_iter();
    Some(Roll {
        block,
        turns: plan.rolls.get(id)?,
        acts: steps.filter_map(|step| known.act(step)).collect(),
    })
}

/// Each host's steps, and the places that belong to no host of the plan.
fn lanes<'a>(
    plan: &'a Plan,
    known: &Known<'a>,
) -> (BTreeMap<&'a HostName, Vec<&'a Act<'a>>>, Vec<Place<'a>>) {
    let hosts = plan.hosts.keys().enumerate();
    let numbers: HashMap<&HostName, usize> = hosts.map(|(number, host)| (host, number)).collect();
    let mut lanes: Vec<Vec<&Act<'_>>> = vec![Vec::new(); plan.hosts.len()];
    let mut strays = Vec::new();
    plan.each_place(&mut |place| {
        let number = place.host.and_then(|host| numbers.get(host));
        let lane = number.and_then(|number| lanes.get_mut(*number));
        match (lane, known.act(place.step)) {
            (Some(lane), Some(act)) => lane.push(act),
            _ => strays.push(place),
        }
    });
    (plan.hosts.keys().zip(lanes).collect(), strays)
}
