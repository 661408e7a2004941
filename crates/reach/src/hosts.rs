//! From an inventory's hosts to what is needed to reach them.

use crate::settings::Settings;
use crate::ssh::{Account, Asked, Become, Bounds, Resolver, Routes, Secret, Wanted};
use crate::transport::Way;
use overhaul_model::fleet;
use overhaul_model::id::HostName;
use overhaul_model::secret::Secret as Password;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Makes the ways to hosts. What they share is read when the first of them is reached.
pub(crate) struct Ways {
    routes: Arc<Routes>,
}

impl Ways {
    pub(crate) fn new(settings: &Settings) -> Self {
        let bounds = Bounds {
            connect_timeout: settings.connect_timeout,
            keepalive_interval: settings.keepalive_interval,
            keepalive_max: settings.keepalive_max,
        };
        let resolver = Resolver::new(Account::own());
        Self {
            routes: Arc::new(Routes::new(resolver, bounds, settings.passphrases.clone())),
        }
    }

    pub(crate) fn of(&self, host: &fleet::Host) -> Way {
        let connection = &host.connection;
        let wanted = Wanted {
            name: host.name.as_str().to_owned(),
            asked: Asked {
                host: connection.address.clone(),
                port: connection.port,
                user: connection.user.clone(),
                identity_files: connection.identity_files.clone(),
                args: connection.ssh_args.clone(),
            },
            known_hosts: connection.known_hosts.clone(),
        };
        Way::Routed(Arc::clone(&self.routes), Box::new(wanted))
    }
}

/// As whom work runs on a host.
pub(crate) fn become_of(host: &fleet::Host, passwords: &BTreeMap<HostName, Password>) -> Become {
    match &host.connection.become_user {
        fleet::Become::No => Become::None,
        fleet::Become::Sudo { user } => Become::Sudo {
            user: user.clone(),
            password: passwords
                .get(&host.name)
                .map(|password| Secret::new(password.reveal())),
        },
    }
}
