//! Which hosts run each service.

use crate::draft::Draft;
use overhaul_model::plan::PlannedService;

pub(crate) fn plan(draft: &mut Draft<'_>) {
    for (name, service) in &draft.definition.services {
        let hosts = draft
            .fleet
            .of_role(&service.on)
            .map(|host| host.name.clone())
            .collect();
        draft.plan.services.insert(
            name.clone(),
            PlannedService {
                unit: service.unit.clone(),
                hosts,
                healthy: service.healthy.clone(),
                window: service.window,
                keep: service.keep,
            },
        );
    }
}
