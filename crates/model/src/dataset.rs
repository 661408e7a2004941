//! Data with one authority, as a definition names it.

use crate::id::{HostName, ServiceName};
use crate::span::Span;
use serde::{Deserialize, Serialize};

/// Data with one authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// The service that holds it.
    pub of: ServiceName,
    /// What it is.
    pub kind: DatasetKind,
    /// The host that has the authority over it; the service's only host when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<HostName>,
    /// A copy that is older than this counts as none; any age counts when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_for: Option<Span>,
}

/// What a dataset is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetKind {
    /// A PostgreSQL cluster with all its databases.
    Postgresql {
        /// The cluster's name, `main` as a rule.
        cluster: String,
    },
    /// All databases of a MariaDB server, with its accounts.
    Mariadb,
    /// Files, with all that is below them.
    Paths {
        /// Absolute paths, none in another one.
        paths: Vec<String>,
    },
}

/// How a database comes from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseWay {
    /// Dumped and loaded anew, into the same version or a newer one.
    Dump,
    /// Its files, as the server's own program for that copies them, into the same version.
    Copy,
}

impl DatabaseWay {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::Copy => "copy",
        }
    }
}
