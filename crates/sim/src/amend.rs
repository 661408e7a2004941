//! A person puts another plan in the place of the run's, while nobody has the run.

use crate::fault::Script;
use crate::scene::Scene;
use crate::trace::Happened;
use crate::world::World;
use overhaul_machine::Renamed;
use overhaul_model::event::{Event, Record};
use overhaul_model::id::Digest;

impl World {
    /// Nobody has the run: who wanted to amend its plan does so, and lets it go on.
    pub fn amend(&self, scene: &Scene, script: &Script) {
        if script.amend.is_some() {
            self.put(scene, script);
            let now = self.clock.now_ms();
            self.state().people.has_amended(now);
        }
    }

    /// As the command does it: with no request open, and with what is over as it is.
    fn put(&self, scene: &Scene, script: &Script) {
        let Some((amended, from)) = scene.amended.as_deref().zip(script.amend) else {
            return;
        };
        let mut state = self.state();
        let waits = state.requests.len() > state.settled.len();
        if state.amended || state.points < from || waits {
            return;
        }
        let Ok(run) = scene.blank.clone().after(&state.records) else {
            return;
        };
        match run.amended(&amended.plan, &Renamed::new()) {
            Ok((_, steps)) if steps.anew.is_empty() && steps.dropped.is_empty() => {}
            // The next time that nobody has the run it may be possible.
            _ => return,
        }
        let seq = run.seq().saturating_add(1);
        state.records.push(Record {
            seq,
            at: self.clock.time_of_day(),
            before: Digest::from_raw(&[]),
            event: Event::Amended {
                person: "fred".into(),
                reason: "the definition was amended".to_owned(),
                plan: Box::new(amended.plan.as_ref().clone()),
                was: Renamed::new(),
                warned: Vec::new(),
            },
        });
        state.amended = true;
        state.plan_hash = amended.hash.clone();
        state.tell(
            self.clock.now_ms(),
            [Happened::Amended, Happened::Durable(seq)],
        );
    }
}
