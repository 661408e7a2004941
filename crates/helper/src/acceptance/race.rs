//! Controllers that race for a host, explored exhaustively: every order in which their messages can arrive,
//! late and twice, over the shipped rules of acceptance.

use super::{accept, demand, release};
use overhaul_model::event::Generation;
use overhaul_model::id::{Nonce, RunId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Acts that each controller asks for while it believes that it holds the host.
const ACTS: u8 = 2;

/// What a controller sends; `usize` is whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Register(usize),
    Act(usize),
    Release(usize),
}

/// How far a controller is, as it believes itself. It never waits for anybody: one that was paused for any
/// time goes on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Belief {
    New,
    Registering,
    Holds { acts: u8 },
    Gone,
}

/// The host, the controllers, and what is on its way between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct World {
    held: Option<Generation>,
    last: Option<Generation>,
    controllers: Vec<Belief>,
    /// Messages on their way, each with how often it may still arrive.
    network: BTreeMap<Message, u8>,
    /// Who acted last, and who was ever accepted.
    actor: Option<usize>,
    accepted: BTreeSet<usize>,
    /// Controllers that a newer one was accepted after, or that let the host go.
    over: BTreeSet<usize>,
}

fn generation(counter: u64, nonce: &str) -> Generation {
    Generation {
        fleet: "f".to_owned(),
        run: RunId::new("r"),
        counter,
        nonce: Nonce::new(nonce),
    }
}

impl World {
    fn new(controllers: usize) -> Self {
        Self {
            held: None,
            last: None,
            controllers: vec![Belief::New; controllers],
            network: BTreeMap::new(),
            actor: None,
            accepted: BTreeSet::new(),
            over: BTreeSet::new(),
        }
    }

    fn send(&mut self, message: Message) {
        // Each arrives once or twice: connections that are lost are made again.
        self.network.insert(message, 2);
    }

    /// What a controller may do next by itself.
    fn moved(&self, who: usize) -> Option<Self> {
        let mut next = self.clone();
        next.controllers[who] = match self.controllers[who] {
            Belief::New => {
                next.send(Message::Register(who));
                Belief::Registering
            }
            Belief::Holds { acts } if acts < ACTS => {
                next.send(Message::Act(who));
                Belief::Holds { acts: acts + 1 }
            }
            Belief::Holds { .. } => {
                next.send(Message::Release(who));
                Belief::Gone
            }
            Belief::Registering | Belief::Gone => return None,
        };
        Some(next)
    }

    /// A message arrives at the host; its answer is at the controller at once, or the message is lost after
    /// it arrived, which is the same as an answer that comes late.
    fn arrived(&self, message: Message, all: &[Generation]) -> Self {
        let mut next = self.clone();
        match next.network.get_mut(&message) {
            Some(left) if *left > 1 => *left -= 1,
            _ => drop(next.network.remove(&message)),
        }
        match message {
            Message::Register(who) => {
                let answer = accept(self.held.as_ref(), self.last.as_ref(), &all[who]);
                if answer.is_ok() {
                    next.held = Some(all[who].clone());
                    next.last = Some(all[who].clone());
                    assert!(!self.over.contains(&who), "{who} came back: {self:?}");
                    next.over
                        .extend(self.accepted.iter().filter(|other| **other != who));
                    next.accepted.insert(who);
                }
                if self.controllers[who] == Belief::Registering {
                    next.controllers[who] = match answer {
                        Ok(_) => Belief::Holds { acts: 0 },
                        Err(_) => Belief::Gone,
                    };
                }
            }
            Message::Act(who) => {
                if demand(self.held.as_ref(), &all[who]).is_ok() {
                    assert!(!self.over.contains(&who), "{who} acts too late: {self:?}");
                    next.actor = Some(who);
                }
            }
            Message::Release(who) => {
                if release(self.held.as_ref(), &all[who]).is_ok() && self.held.is_some() {
                    next.held = None;
                    next.over.insert(who);
                }
            }
        }
        next
    }
}

/// Explores every order; returns the number of states, and who acted in any of them.
fn explore(all: &[Generation]) -> (usize, BTreeSet<usize>) {
    let mut seen = BTreeSet::from([World::new(all.len())]);
    let mut queue = VecDeque::from_iter(seen.clone());
    let mut actors = BTreeSet::new();
    while let Some(world) = queue.pop_front() {
        actors.extend(world.actor);
        let moves = (0..all.len()).filter_map(|who| world.moved(who));
        let arrivals = world
            .network
            .keys()
            .map(|message| world.arrived(*message, all));
        for next in moves.chain(arrivals).collect::<Vec<_>>() {
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (seen.len(), actors)
}

#[test]
fn of_controllers_that_race_for_a_host_never_do_two_act() {
    for (all, may_act) in [
        // Two that read the same journal at the same time.
        (vec![generation(1, "x"), generation(1, "y")], vec![0, 1]),
        // An old one that was paused, and the one that took the run over.
        (vec![generation(1, "x"), generation(2, "y")], vec![0, 1]),
        // Both: two that race to take over from an old one.
        (
            vec![generation(1, "x"), generation(2, "y"), generation(2, "z")],
            vec![0, 1, 2],
        ),
    ] {
        let (states, actors) = explore(&all);
        println!("{} controllers: {states} states", all.len());
        assert!(states > 50, "{states}");
        assert_eq!(actors.into_iter().collect::<Vec<_>>(), may_act);
    }
}
