//! After the change: units that have failed, and errors in the journal of the boot.
//!
//! Only where the definition says what is expected: who writes that down wants to hear of everything else.

use super::site::Site;
use crate::draft::Draft;
use crate::scripts;
use crate::slug::literal;
use overhaul_model::action::{Action, Repeat, Touches};
use overhaul_model::definition::OutputFrom;
use overhaul_model::fleet::Host;
use overhaul_model::id::{HostName, ServiceName};
use overhaul_model::knowledge::{Expected, Unusual};
use overhaul_model::plan::NOTICED_OUTPUT;
use overhaul_model::primitive::Primitive;
use overhaul_model::step::Step;
use std::collections::{BTreeMap, BTreeSet};

/// One step, or one for each set of hosts about which the same is expected.
pub(super) fn steps(draft: &Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    if draft.definition.knowledge.expected.is_empty() {
        return Vec::new();
    }
    let mut groups: BTreeMap<Vec<String>, BTreeSet<HostName>> = BTreeMap::new();
    for host in site.hosts {
        let group = groups.entry(arguments(draft, host)).or_default();
        group.insert(host.name.clone());
    }
    let numbered = (1..).zip(groups);
    numbered
        .map(|(number, (arguments, hosts))| {
            let name = match number {
                1 => "look-over".to_owned(),
                number => format!("look-over-{number}"),
            };
            let touches = Touches::Only(Vec::new());
            let mut step = site.step(
                &name,
                "no unit has failed, but what is expected",
                Action::Run { touches },
                Primitive::Exec(scripts::LOOK_OVER.with(arguments)),
            );
            step.only = site.only(hosts);
            step.repeat = Repeat::Safe;
            step.outputs = [(NOTICED_OUTPUT.to_owned(), OutputFrom::Stdout)].into();
            step.why =
                "what is expected is told apart from what nobody knows of; the report has both"
                    .to_owned();
            step
        })
        .collect()
}

/// What is expected of a host, as the script takes it.
fn arguments(draft: &Draft<'_>, host: &Host) -> Vec<String> {
    let knowledge = &draft.definition.knowledge;
    let mut out = Vec::new();
    for expected in &knowledge.expected {
        if !expected.concerns(&host.roles) {
            continue;
        }
        let Expected { until, reason, .. } = expected;
        let (kind, text) = match &expected.what {
            Unusual::StaysDown(name) | Unusual::FailedUnit(name) => ("unit", unit(draft, name)),
            Unusual::LogLine(text) => ("line", text.clone()),
        };
        let words = format!("expected until {until}: {reason}");
        out.extend([kind.to_owned(), literal(&text), literal(&words)]);
    }
    for retired in &knowledge.retired {
        let unit = literal(&unit(draft, retired));
        out.extend(["unit".to_owned(), unit, "retired".to_owned()]);
    }
    out
}

/// The unit that is meant by its own name, or by that of a service.
fn unit(draft: &Draft<'_>, name: &str) -> String {
    let service = draft.plan.services.get(&ServiceName::new(name));
    service.map_or_else(|| name.to_owned(), |service| service.unit.clone())
}
