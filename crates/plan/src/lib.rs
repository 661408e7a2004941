//! The compiler: definition, fleet and facts in, plan and the reason of each step out.
//!
//! [`PASSES`] is the whole of it, in order. A pass reads the definition, fleet and facts, and adds to
//! the draft; it never asks the world. What is wrong is collected, all of it, not only the first.

mod datasets;
pub mod diff;
mod draft;
mod error;
mod first;
mod ids;
mod limits;
mod parts;
pub mod print;
pub mod print_diff;
mod quiet;
mod ranks;
mod roles;
mod scripts;
mod services;
mod slug;
mod space;
mod stages;
mod strategy;
mod timing;
mod upgraders;

pub use error::{PlanError, PlanErrors};

use draft::Draft;
use overhaul_model::definition::Definition;
use overhaul_model::facts::FleetFacts;
use overhaul_model::fleet::Fleet;
use overhaul_model::plan::Plan;

/// One concern of the compiler.
type Pass = fn(&mut Draft<'_>);

/// The compiler, in order.
const PASSES: [Pass; 8] = [
    // Which hosts each role has, in which turns; a host changes in one role only.
    roles::freeze,
    // Which hosts run each service.
    services::plan,
    // Which host has authority over each dataset.
    datasets::plan,
    // Which upgrade path each role takes; its texts with both code names.
    upgraders::resolve,
    // The tree: stages, rolls, slots, steps.
    stages::build,
    // Free space that all of it relies on.
    space::plan,
    // When it may run; which lengths a person wrote.
    timing::plan,
    // No id stands for two things.
    ids::unique,
];

/// Compiles an upgrade of a fleet into a plan.
///
/// # Errors
/// When the definition and the fleet do not go together, or a part is not available in this version;
/// all reasons at once. Facts that are missing are no error here: the checker complains of them.
pub fn compile(
    definition: &Definition,
    fleet: &Fleet,
    facts: &FleetFacts,
) -> Result<Plan, PlanErrors> {
    let mut draft = Draft::new(definition, fleet, facts);
    for pass in PASSES {
        pass(&mut draft);
    }
    draft.finish()
}
