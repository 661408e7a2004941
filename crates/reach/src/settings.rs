//! The transport's bounds.

use crate::ssh::Passphrases;
use std::time::Duration;

/// Reaching an address and the key exchange: a host that swaps still makes it, a dead one does not
/// hold up a wave for long.
pub const CONNECT_S: u64 = 20;
/// Silence before a sign of life is asked for. Four of these, a minute in all, make a connection
/// lost: shorter than any bound of a step, longer than a switch takes to reboot its ports.
pub const KEEPALIVE_S: u64 = 15;
/// Unanswered signs of life.
pub const KEEPALIVES_MAX: usize = 3;
/// How long a lost connection is made again: a firewall's fail-over, a switch's reboot and a
/// server's power-on self-test pass within it, and it is short beside a maintenance window.
pub const RECONNECT_BUDGET_S: u64 = 15 * 60;
/// Wait before the second try; doubled before each further one.
pub const BACK_OFF_MS: u64 = 500;
/// Longest wait between two tries: as soon as the host is back, work goes on.
pub const BACK_OFF_S_MAX: u64 = 15;
/// Connections that are made at one time: bounds the load of key exchanges here and of logins on
/// a shared jump or directory server. Standing connections are one for each host.
pub const CONNECTS_MAX: usize = 64;

/// The bounds that tests and people may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// See [`CONNECT_S`].
    pub connect_timeout: Duration,
    /// See [`KEEPALIVE_S`].
    pub keepalive_interval: Duration,
    /// See [`KEEPALIVES_MAX`].
    pub keepalive_max: usize,
    /// See [`RECONNECT_BUDGET_S`].
    pub reconnect_budget: Duration,
    /// See [`BACK_OFF_MS`].
    pub reconnect_back_off: Duration,
    /// See [`CONNECTS_MAX`].
    pub connects_max: usize,
    /// Who is asked for the passphrases of key files. By default nobody.
    pub passphrases: Passphrases,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(CONNECT_S),
            keepalive_interval: Duration::from_secs(KEEPALIVE_S),
            keepalive_max: KEEPALIVES_MAX,
            reconnect_budget: Duration::from_secs(RECONNECT_BUDGET_S),
            reconnect_back_off: Duration::from_millis(BACK_OFF_MS),
            connects_max: CONNECTS_MAX,
            passphrases: Passphrases::default(),
        }
    }
}

impl Settings {
    /// The wait after so many failed tries, a little of it by chance, so that a fleet does not come
    /// back in one moment.
    pub(crate) fn back_off(&self, tries: u32) -> Duration {
        let factor = 1_u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX);
        let wait = self
            .reconnect_back_off
            .saturating_mul(factor)
            .min(Duration::from_secs(BACK_OFF_S_MAX));
        wait.mul_f64(rand::random_range(0.75..=1.0))
    }
}
