//! A connection that a master holds.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::config;
use super::judge;
use super::master::Master;
use super::mux::Mux;
use super::room::{MASTERS_MAX, Seat};
use super::target::Target;
use crate::ssh::{AUTHENTICATION_S_MAX, SshError, within};

/// Wait before a master's socket is looked for again; doubled up to [`LOOK_MS_MAX`]. `ssh` tells
/// nobody that it is ready.
const LOOK_MS_MIN: u64 = 4;
/// Longest wait between two looks: small beside a login.
const LOOK_MS_MAX: u64 = 50;
/// Commands that are opened at one time on one master: its socket has room for 64 that wait.
const OPENS_MAX: usize = 16;

/// A connection that is let in. Clones share it; its master ends when the last clone and the last
/// channel are gone.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) host: String,
    user: String,
    pub(super) master: Master,
    pub(super) opens: Semaphore,
    /// Set by [`Session::close`], for clones and channels.
    closed: watch::Sender<bool>,
}

impl Inner {
    pub(super) fn socket(&self) -> PathBuf {
        self.master.seat.socket()
    }

    /// Waits until the connection is lost and says why.
    pub(super) async fn lost(&self) -> SshError {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            () = self.master.wait() => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
        judge::loss(&self.host, &self.master.lines())
    }
}

impl Session {
    /// The host's name, as in its target.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// The account that is logged in.
    pub fn user(&self) -> &str {
        &self.inner.user
    }

    /// Whether the connection is still there, as far as we know.
    pub fn is_open(&self) -> bool {
        !self.inner.master.has_ended() && !*self.inner.closed.borrow()
    }

    /// Waits until the connection is lost and says why. Waits for ever on a healthy one.
    pub async fn lost(&self) -> SshError {
        self.inner.lost().await
    }

    /// Ends the connection now, whatever its channels do.
    pub async fn close(self) {
        self.inner.closed.send_replace(true);
        self.inner.master.stop();
        self.inner.master.wait().await;
    }
}

/// Starts a master for the target and waits until it is let in. Nobody is ever asked anything.
///
/// # Errors
/// When there is no `ssh`, or when it does not get in.
pub async fn connect(target: &Target) -> Result<Session, SshError> {
    let local = |error: io::Error| SshError::OpensshUnusable {
        reason: error.to_string(),
    };
    let seat = Seat::take();
    let bound = target.connect_timeout;
    let seat = timeout(bound, seat).await.map_err(|_| SshError::OpensshUnusable {
        reason: format!("{MASTERS_MAX} of them run already, one for each host, and none ended within {bound:?}"),
    })?;
    let seat = seat.map_err(local)?;
    config::write(&seat.config(), target).map_err(local)?;
    let words = config::master_words(target, &seat.socket(), &seat.config());
    let master = Master::start(seat, &words)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SshError::OpensshUnusable {
                reason: "it is not installed here (package openssh-client)".to_owned(),
            },
            _ => local(error),
        })?;
    ready(target, &master).await?;
    let user = target
        .user
        .clone()
        .or_else(|| judge::account(&master.lines()));
    master.forget_lines();
    Ok(Session {
        inner: Arc::new(Inner {
            host: target.name.clone(),
            user: user.unwrap_or_default(),
            master,
            opens: Semaphore::new(OPENS_MAX),
            closed: watch::Sender::new(false),
        }),
    })
}

async fn ready(target: &Target, master: &Master) -> Result<(), SshError> {
    let socket = master.seat.socket();
    let login = Duration::from_secs(AUTHENTICATION_S_MAX);
    let come_about = async {
        let began = Instant::now();
        let mut pause = Duration::from_millis(LOOK_MS_MIN);
        loop {
            // Asked first: a master that ended took its socket along.
            if master.has_ended() {
                return Err(judge::failure(target, &master.lines()));
            }
            if Mux::is_alive(&socket).await {
                return Ok(());
            }
            let is_late = began.elapsed() > target.connect_timeout;
            if is_late && !judge::is_authenticating(&master.lines()) {
                return Err(SshError::TimedOut {
                    host: target.name.clone(),
                    what: "connecting",
                    bound: target.connect_timeout,
                });
            }
            let _ended = timeout(pause, master.wait()).await;
            pause = (pause * 2).min(Duration::from_millis(LOOK_MS_MAX));
        }
    };
    within(
        &target.name,
        "authentication",
        target.connect_timeout + login,
        come_about,
    )
    .await
}
