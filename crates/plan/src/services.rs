//! Which hosts run each service.

use crate::draft::Draft;
use overhaul_model::plan::PlannedService;

pub(crate) fn plan(draft: &mut Draft<'_>) {
    for (name, service) in &draft.definition.services {
        let hosts = draft.of_role(&service.on).to_vec();
        for host in &hosts {
            let services = draft.services_on.entry(&host.name).or_default();
            services.insert(name);
        }
        draft.plan.services.insert(
            name.clone(),
            PlannedService {
                unit: service.unit.clone(),
                hosts: hosts.iter().map(|host| host.name.clone()).collect(),
                healthy: service.healthy.clone(),
                window: service.window,
                keep: service.keep,
            },
        );
    }
}
