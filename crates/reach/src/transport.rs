//! A connection to a host, whichever client holds it: our own ([`ssh`]) or the `ssh` program
//! ([`openssh`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::channel::{ExecChannel, Output};
use crate::openssh;
use crate::ssh::{self, SshError};

/// How one host is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// By our own client, to a target that is known in all parts.
    Native(Box<ssh::Target>),
    /// By our own client, as the operator's configuration says when the host is first reached.
    Routed(Arc<ssh::Routes>, Box<ssh::Wanted>),
    /// By the `ssh` program.
    Openssh(Box<openssh::Target>),
}

impl Way {
    /// The host's name in messages.
    pub fn host(&self) -> &str {
        match self {
            Self::Native(target) => &target.name,
            Self::Routed(_, wanted) => &wanted.name,
            Self::Openssh(target) => &target.name,
        }
    }

    /// Whether the host's sshd takes connections now, asked without logging in: no answer within
    /// `bound` is a no. `None` when only a login can tell.
    pub(crate) async fn accepts(&self, bound: Duration) -> Option<bool> {
        match self {
            Self::Native(target) => {
                let connect = TcpStream::connect((target.address.as_str(), target.port));
                Some(matches!(timeout(bound, connect).await, Ok(Ok(_))))
            }
            Self::Routed(routes, wanted) => {
                let (address, port) = routes.address(wanted).await?;
                let connect = TcpStream::connect((address, port));
                Some(matches!(timeout(bound, connect).await, Ok(Ok(_))))
            }
            // Its address may be an alias, or behind others.
            Self::Openssh(_) => None,
        }
    }

    /// Reaches the host, checks its host key and is let in.
    ///
    /// # Errors
    /// When the host is not reached, not known by its key, or lets nobody in.
    pub async fn connect(&self) -> Result<Session, SshError> {
        match self {
            Self::Native(target) => ssh::connect(target).await.map(Session::Native),
            Self::Routed(routes, wanted) => routes.connect(wanted).await.map(Session::Native),
            Self::Openssh(target) => openssh::connect(target).await.map(Session::Openssh),
        }
    }
}

/// A connection that is let in, on which commands with three streams run. Clones share it; it
/// closes when the last clone and the last channel are gone.
#[derive(Clone, Debug)]
pub enum Session {
    /// Held by our own client.
    Native(ssh::Session),
    /// Held by an `ssh` program.
    Openssh(openssh::Session),
}

impl From<ssh::Session> for Session {
    fn from(session: ssh::Session) -> Self {
        Self::Native(session)
    }
}

impl From<ssh::Target> for Way {
    fn from(target: ssh::Target) -> Self {
        Self::Native(Box::new(target))
    }
}

impl From<openssh::Target> for Way {
    fn from(target: openssh::Target) -> Self {
        Self::Openssh(Box::new(target))
    }
}

impl Session {
    /// The host's name, as in its [`Way`].
    pub fn host(&self) -> &str {
        match self {
            Self::Native(session) => session.host(),
            Self::Openssh(session) => session.host(),
        }
    }

    /// The account that is logged in.
    pub fn user(&self) -> &str {
        match self {
            Self::Native(session) => session.user(),
            Self::Openssh(session) => session.user(),
        }
    }

    /// Whether the connection is still there, as far as we know.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Native(session) => session.is_open(),
            Self::Openssh(session) => session.is_open(),
        }
    }

    /// Waits until the connection is lost and says why. Waits for ever on a healthy one.
    pub async fn lost(&self) -> SshError {
        match self {
            Self::Native(session) => session.lost().await,
            Self::Openssh(session) => session.lost().await,
        }
    }

    /// Ends the connection now, whatever its channels do.
    pub async fn close(self) {
        match self {
            Self::Native(session) => session.close().await,
            Self::Openssh(session) => session.close().await,
        }
    }

    /// Starts a command, which the account's shell on the host takes apart.
    ///
    /// # Errors
    /// When the connection is lost or the host gives no further channel.
    pub async fn exec(&self, command: &str) -> Result<ExecChannel, SshError> {
        match self {
            Self::Native(session) => session.exec(command).await,
            Self::Openssh(session) => session.exec(command).await,
        }
    }

    /// Runs a command to its end: gives it `stdin`, keeps up to `stdout_bytes_max` of its output
    /// and reads away the rest. After `bound` the channel is closed.
    ///
    /// # Errors
    /// As [`Session::exec`], and when the bound passes or the connection is lost on the way.
    pub async fn run(
        &self,
        command: &str,
        stdin: &[u8],
        stdout_bytes_max: usize,
        bound: Duration,
    ) -> Result<Output, SshError> {
        match self {
            Self::Native(session) => session.run(command, stdin, stdout_bytes_max, bound).await,
            Self::Openssh(session) => session.run(command, stdin, stdout_bytes_max, bound).await,
        }
    }
}
