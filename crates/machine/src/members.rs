//! Who is away from a service: two lanes never both count the other one as serving.

use crate::run::Run;
use overhaul_model::definition::Test;
use overhaul_model::event::Event;
use overhaul_model::id::{HostName, Position, ServiceName};
use overhaul_model::planted;
use overhaul_model::primitive::Measurement;
use overhaul_model::step::Step;
use std::collections::BTreeSet;

impl Run {
    /// The answer of a guard that counts members, after those that were let away are taken off. With it the
    /// service whose member the step's host now ceases to be, if the guard holds.
    pub(crate) fn counted(
        &self,
        step: &Step,
        position: &Position,
        event: &Event,
    ) -> Option<(Event, Option<ServiceName>)> {
        let Event::GuardMeasured {
            guard,
            result,
            serving,
            ..
        } = event
        else {
            return None;
        };
        let Test::Members { service, at_least } = &step.guards.get(*guard)?.test else {
            return None;
        };
        let result = match result {
            Measurement::Unknown { .. } => result.clone(),
            Measurement::So { .. } | Measurement::NotSo { .. } => {
                self.enough(service, *at_least, position.host.as_ref(), serving)
            }
        };
        let let_away = result.is_so().then(|| service.clone());
        let event = Event::GuardMeasured {
            position: position.clone(),
            guard: *guard,
            result,
            serving: BTreeSet::new(),
        };
        Some((event, let_away))
    }

    fn enough(
        &self,
        service: &ServiceName,
        at_least: u32,
        host: Option<&HostName>,
        serving: &BTreeSet<HostName>,
    ) -> Measurement {
        let of_service = |host: &HostName| {
            let service = self.plan.services.get(service);
            service.is_some_and(|service| service.hosts.contains(host))
        };
        if !host.is_some_and(of_service) {
            let evidence = format!("it is no host of {service}");
            return Measurement::So { evidence };
        }
        let none = BTreeSet::new();
        let away = self.away.get(service).unwrap_or(&none);
        let others: Vec<&str> = serving
            .iter()
            .filter(|other| Some(*other) != host && !away.contains(*other))
            .map(HostName::as_str)
            .collect();
        let evidence = format!(
            "{} of {service} serve beside it: {}; {at_least} must",
            others.len(),
            others.join(", ")
        );
        let enough = u64::try_from(others.len()).unwrap_or(u64::MAX) >= u64::from(at_least);
        if enough || planted::is("minimum-not-counted") {
            Measurement::So { evidence }
        } else {
            Measurement::NotSo { evidence }
        }
    }

    /// A host's turn is over: what it was let away from has it back.
    pub(crate) fn is_back(&mut self, host: &HostName) {
        for away in self.away.values_mut() {
            away.remove(host);
        }
        self.away.retain(|_, away| !away.is_empty());
    }
}
