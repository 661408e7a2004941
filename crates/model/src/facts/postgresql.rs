//! PostgreSQL.

use super::Known;
use serde::{Deserialize, Serialize};

/// A PostgreSQL cluster as `pg_lsclusters` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresCluster {
    /// Major version, like `15`.
    pub version: String,
    /// Name, like `main`.
    pub name: String,
    /// Port.
    pub port: u16,
    /// Whether it runs.
    pub online: bool,
    /// Its data directory.
    pub data_dir: String,
    /// Databases but the templates, when it runs.
    pub databases: Vec<PostgresDatabase>,
    /// Its part in replication, when it runs.
    #[serde(default)]
    pub replication: Known<PostgresReplication>,
}

/// A database of a PostgreSQL cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresDatabase {
    /// Its name.
    pub name: String,
    /// `pg_database_size` in bytes.
    pub size_bytes: u64,
    /// Its extensions.
    #[serde(default)]
    pub extensions: Known<Vec<PostgresExtension>>,
}

/// An extension in a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PostgresExtension {
    /// Its name.
    pub name: String,
    /// The version that the database has.
    pub version: String,
}

/// A cluster's part in replication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresReplication {
    /// Whether it is a standby (`pg_is_in_recovery`).
    pub in_recovery: bool,
    /// Milliseconds since the last replayed transaction, of a standby that knows; grows also while
    /// nothing is written.
    pub replay_age_ms: Option<u64>,
    /// Where a standby receives from, host and port, when it is connected.
    pub upstream: Option<String>,
    /// Clients that receive from it (`pg_stat_replication`).
    pub standbys: Vec<PostgresStandby>,
    /// Replication slots.
    pub slots: Vec<PostgresSlot>,
}

/// A client that receives from a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresStandby {
    /// `application_name`.
    pub name: String,
    /// Its address; empty over a local socket.
    pub address: String,
    /// `streaming`, `catchup`, ...
    pub state: String,
    /// `async`, `sync`, `quorum`, ...
    pub sync_state: String,
    /// Bytes that it has not replayed yet, when it tells.
    pub lag_bytes: Option<u64>,
}

/// A replication slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresSlot {
    /// Its name.
    pub name: String,
    /// `physical` or `logical`.
    pub kind: String,
    /// Whether somebody uses it.
    pub active: bool,
    /// Bytes of log that are kept for it, when it keeps some.
    pub retained_bytes: Option<u64>,
}
