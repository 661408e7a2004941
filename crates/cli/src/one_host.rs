//! Commands about what one host keeps, of a fleet without a run.

use crate::args::{FleetArgs, HostArgs};
use crate::compile::NO_DATA;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inputs;
use crate::wiring;
use overhaul_engine::ports::Fault;
use overhaul_model::id::HostName;
use overhaul_reach::SshReach;
use std::path::Path;
use std::sync::Arc;

/// The host by its name, and the way to it.
///
/// # Errors
/// When the fleet cannot be read or has no such host.
pub fn found(
    fleet: &FleetArgs,
    hosts: &HostArgs,
    host: &str,
) -> Result<(HostName, Arc<SshReach>), Failure> {
    let loaded = inputs::fleet_alone(fleet)?;
    let host = HostName::new(host);
    let Some(known) = loaded.fleet.hosts.get(&host) else {
        return Err(Failure::input(format!(
            "the fleet {} has no host `{host}`",
            loaded.fleet.name
        )));
    };
    let alone = [(host.clone(), known.clone())].into();
    let (name, passwords) = (&loaded.fleet.name, loaded.passwords);
    let reach = wiring::reach(name, &alone, passwords, hosts, Path::new(NO_DATA))?;
    Ok((host, reach))
}

/// What a host said or did not say.
pub fn trouble(fault: Fault) -> Failure {
    Failure::new(Exit::HostTrouble, fault)
}
