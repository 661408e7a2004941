//! Whom to reach through the `ssh` program.

use std::time::Duration;

use overhaul_model::fleet;

use super::words::{WordError, login_words};
use crate::settings::Settings;

/// Whom to reach through the `ssh` program, and within which bounds.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host's name in messages.
    pub name: String,
    /// What one would write behind `ssh`.
    pub address: String,
    /// The words before it, see [`login_words`].
    pub words: Vec<String>,
    /// The account, where it is named.
    pub user: Option<String>,
    /// The known hosts files, where they are named.
    pub known_hosts: Vec<String>,
    /// Bound on reaching the address and on the key exchange, together. `ssh` counts seconds.
    pub connect_timeout: Duration,
    /// After so much silence the server is asked for a sign of life. `ssh` counts seconds.
    pub keepalive_interval: Duration,
    /// So many unanswered questions mean that the connection is lost.
    pub keepalive_max: usize,
}

impl Target {
    /// The way to a host that a connection means.
    ///
    /// # Errors
    /// When the operator's own words for `ssh` cannot be taken along.
    pub fn new(
        name: impl Into<String>,
        connection: &fleet::Connection,
        settings: &Settings,
    ) -> Result<Self, WordError> {
        Ok(Self {
            name: name.into(),
            address: connection.address.clone(),
            words: login_words(connection)?,
            user: connection.user.clone(),
            known_hosts: connection.known_hosts.clone(),
            connect_timeout: settings.connect_timeout,
            keepalive_interval: settings.keepalive_interval,
            keepalive_max: settings.keepalive_max,
        })
    }
}
