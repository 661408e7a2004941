//! Journals as the store keeps them, with the run that the shipped machine makes of each. A journal is a row and
//! the journal before it, so that equal ones are one, and none is replayed twice.

use jiff::Timestamp;
use overhaul_machine::{Command, Run, StepState};
use overhaul_model::event::{Event, Record, Settlement};
use overhaul_model::id::{AttemptKey, Position};
use overhaul_model::plan::Plan;
use overhaul_model::span::Span;
use std::collections::{BTreeSet, HashMap};

/// A journal, by its last row.
pub type Journal = usize;

/// Longer than every wait of the machine: no controller is held up by the time of day.
const LATER: Span = Span::from_s(24 * 3600);

pub struct Page {
    pub run: Run,
    /// What the shipped machine says is to be done.
    pub due: Vec<Command>,
    /// Attempts whose intent is written, and those of which it is written that they never began.
    pub started: BTreeSet<AttemptKey>,
    pub never_began: BTreeSet<AttemptKey>,
}

/// All journals that were written in any order of things.
pub struct Journals {
    pages: Vec<Page>,
    followed: HashMap<(Journal, String), Journal>,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

impl Journals {
    /// The journal of a run that was opened and that no controller has taken.
    pub fn new(plan: &Plan) -> Self {
        let run = Run::new(plan.clone()).unwrap();
        let opened = Event::RunOpened {
            run: "r".into(),
            plan: run.hash().clone(),
            person: "p".into(),
            warned: Vec::new(),
        };
        let page = Page {
            run,
            due: Vec::new(),
            started: BTreeSet::new(),
            never_began: BTreeSet::new(),
        };
        let mut journals = Self {
            pages: vec![page],
            followed: HashMap::new(),
        };
        journals.write(0, &opened).unwrap();
        journals
    }

    /// The opened journal.
    pub const OPENED: Journal = 1;

    pub fn page(&self, journal: Journal) -> &Page {
        &self.pages[journal]
    }

    pub fn count(&self) -> usize {
        self.pages.len()
    }

    /// The journal with one row more.
    ///
    /// # Errors
    /// When the machine does not take the row.
    pub fn write(&mut self, journal: Journal, event: &Event) -> Result<Journal, String> {
        let text = serde_json::to_string(event).unwrap();
        if let Some(known) = self.followed.get(&(journal, text.clone())) {
            return Ok(*known);
        }
        let before = &self.pages[journal];
        let mut run = before.run.clone();
        let record = Record {
            seq: run.seq() + 1,
            at: now(),
            before: Record::genesis(),
            event: serde_json::from_str(&text).unwrap(),
        };
        run.apply(&record).map_err(|illegal| illegal.to_string())?;
        let mut page = Page {
            due: run.next(LATER.after(now())).commands,
            started: before.started.clone(),
            never_began: before.never_began.clone(),
            run,
        };
        match event {
            Event::Started { key, .. } => drop(page.started.insert(key.clone())),
            Event::Settled {
                position,
                settlement: Settlement::NeverBegan,
                ..
            } => page
                .never_began
                .extend(before.run.attempt_key(position).cloned()),
            _ => {}
        }
        self.pages.push(page);
        let written = self.pages.len() - 1;
        self.followed.insert((journal, text), written);
        Ok(written)
    }

    pub fn counter(&self, journal: Journal) -> u64 {
        self.page(journal).run.generation().map_or(0, |g| g.counter)
    }

    pub fn state(&self, journal: Journal, position: &Position) -> &StepState {
        self.page(journal).run.state(position)
    }
}
