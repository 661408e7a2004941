//! The one connection to a host: made when it is first needed, shared, made again when lost.

use crate::client::{ClientError, Hello, HelperClient};
use crate::error::ReachError;
use crate::near::Near;
use crate::settings::Settings;
use crate::ssh::SshError;
use crate::transport::{Session, Way};
use crate::turns::Turns;
use crate::upload::Starter;
use overhaul_model::id::HostName;
use overhaul_model::wire::{RequestBody, ResponseBody};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Tries when a server closes before authentication: a busy sshd does so by chance (`MaxStartups`),
/// and five tries let nine of ten through at its usual 30 percent and worse.
const CLOSED_EARLY_TRIES: u32 = 5;

/// Refusals that are borne while work is under way: with the usual back-off they span a minute and a
/// half, in which a package manager has put PAM and sudo together again.
const REFUSALS_MAX: u32 = 10;

/// What is still hoped for when a host refuses us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hope {
    /// Only what passes by itself is tried again.
    Usual,
    /// Work is under way, perhaps on the host's very login: some refusals may pass.
    UnderWay,
}

/// A standing connection with a helper on it.
#[derive(Debug)]
pub(crate) struct Live {
    /// `None` on the controller itself.
    pub(crate) session: Option<Session>,
    pub(crate) client: HelperClient,
    /// The highest sequence number that the store was heard to have.
    sequence: AtomicU64,
}

impl Live {
    fn is_open(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_open) && self.client.is_open()
    }

    pub(crate) fn hello(&self) -> &Hello {
        self.client.hello()
    }

    pub(crate) fn heard_sequence(&self, sequence: u64) {
        self.sequence.fetch_max(sequence, Ordering::Relaxed);
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Relaxed)
    }
}

type Made = Option<Result<Arc<Live>, ReachError>>;

enum State {
    Down,
    Connecting(watch::Receiver<Made>),
    Up(Arc<Live>),
}

/// How a helper is come by.
pub(crate) enum Road {
    /// On a host.
    Far {
        /// How the host is reached.
        way: Way,
        /// How the helper is started there.
        starter: Starter,
    },
    /// On the controller itself.
    Near(Near),
}

/// How to reach one host, and the connection to it.
pub(crate) struct Link {
    road: Road,
    name: String,
    pub(crate) settings: Arc<Settings>,
    pub(crate) turns: Arc<Turns>,
    state: Mutex<State>,
}

impl Link {
    pub(crate) fn new(road: Road, settings: Arc<Settings>, turns: Arc<Turns>) -> Self {
        Self {
            name: match &road {
                Road::Far { way, .. } => way.host().to_owned(),
                Road::Near(_) => HostName::controller().to_string(),
            },
            road,
            settings,
            turns,
            state: Mutex::new(State::Down),
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.name
    }

    /// Whether the host's sshd takes connections now; `None` when only a login can tell.
    pub(crate) async fn accepts(&self, bound: Duration) -> Option<bool> {
        match &self.road {
            Road::Far { way, .. } => way.accepts(bound).await,
            Road::Near(_) => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, made now if there is none. All who ask meanwhile share one try, which goes on
    /// when they stop waiting: a measure that may take a second must not keep a connection that
    /// takes two from ever being made.
    pub(crate) async fn live(self: &Arc<Self>) -> Result<Arc<Live>, ReachError> {
        let broken_off = || ReachError::BrokenOff {
            host: self.host().to_owned(),
        };
        let mut made = {
            let mut state = self.state();
            match &*state {
                State::Up(live) if live.is_open() => return Ok(Arc::clone(live)),
                State::Connecting(made) if made.has_changed().is_ok() => made.clone(),
                // Up and lost, down, or the task that connected was ended.
                State::Up(_) | State::Down | State::Connecting(_) => {
                    let (tell, made) = watch::channel(None);
                    *state = State::Connecting(made.clone());
                    tokio::spawn(Arc::clone(self).make(tell));
                    made
                }
            }
        };
        let result = made
            .wait_for(Option::is_some)
            .await
            .map_err(|_| broken_off())?;
        result.clone().unwrap_or_else(|| Err(broken_off()))
    }

    async fn make(self: Arc<Self>, tell: watch::Sender<Made>) {
        let made = self.establish().await.map(Arc::new);
        *self.state() = match &made {
            Ok(live) => State::Up(Arc::clone(live)),
            Err(_) => State::Down,
        };
        tell.send_replace(Some(made));
    }

    async fn establish(&self) -> Result<Live, ReachError> {
        let making = async {
            let (session, client) = match &self.road {
                Road::Near(near) => (None, near.serve().await?),
                Road::Far { way, starter } => {
                    let session = self.connect(way).await?;
                    let client = starter.serve(&session, &self.turns).await?;
                    (Some(session), client)
                }
            };
            Ok(Live {
                sequence: AtomicU64::new(client.hello().sequence),
                session,
                client,
            })
        };
        self.turns.take(making).await
    }

    /// Ends the connection, if there is one; the next who asks gets a new one.
    pub(crate) async fn leave(&self) {
        let state = std::mem::replace(&mut *self.state(), State::Down);
        if let State::Up(live) = state
            && let Some(session) = live.session.clone()
        {
            session.close().await;
        }
    }

    async fn connect(&self, way: &Way) -> Result<Session, SshError> {
        let mut tries = 1;
        loop {
            match way.connect().await {
                Err(error) if error.is_closed_early() && tries < CLOSED_EARLY_TRIES => {
                    sleep(self.settings.back_off(tries)).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// The same, tried again until `deadline` while there is hope.
    pub(crate) async fn live_until(
        self: &Arc<Self>,
        deadline: Instant,
        hope: Hope,
    ) -> Result<Arc<Live>, ReachError> {
        let began = Instant::now();
        let (mut tries, mut refusals) = (0, 0);
        loop {
            let error = match tokio::time::timeout_at(deadline, self.live()).await {
                Ok(Ok(live)) => return Ok(live),
                Ok(Err(error)) => error,
                Err(_) => {
                    return Err(SshError::TimedOut {
                        host: self.host().to_owned(),
                        what: "reaching it",
                        bound: deadline.saturating_duration_since(began),
                    }
                    .into());
                }
            };
            if !error.is_transient() {
                refusals += 1;
                let hopeless = hope == Hope::Usual || !error.may_pass_under_way();
                if hopeless || refusals > REFUSALS_MAX {
                    return Err(error);
                }
            }
            let wait = self.settings.back_off(tries);
            if Instant::now() + wait >= deadline {
                return Err(error);
            }
            sleep(wait).await;
            tries += 1;
        }
    }

    /// The same within the budget for a lost connection.
    pub(crate) async fn live_again(self: &Arc<Self>, hope: Hope) -> Result<Arc<Live>, ReachError> {
        self.live_until(Instant::now() + self.settings.reconnect_budget, hope)
            .await
    }

    /// The connection is known to be of no use: the next who asks gets a new one.
    pub(crate) fn forget(&self, live: &Arc<Live>) {
        let mut state = self.state();
        if matches!(&*state, State::Up(held) if Arc::ptr_eq(held, live)) {
            *state = State::Down;
        }
    }

    /// A helper of its own over the same connection, with a greeting of this moment.
    pub(crate) async fn serve(&self, live: &Live) -> Result<HelperClient, ReachError> {
        match (&self.road, &live.session) {
            (Road::Far { starter, .. }, Some(session)) => starter.serve(session, &self.turns).await,
            (Road::Near(near), _) => near.serve().await,
            (Road::Far { .. }, None) => Err(ReachError::BrokenOff {
                host: self.name.clone(),
            }),
        }
    }

    /// Asks something that may be asked twice: a connection that proves lost is made again once.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        what: &'static str,
        body: RequestBody,
        within: Duration,
    ) -> Result<(Arc<Live>, ResponseBody), ReachError> {
        let live = self.live().await?;
        match live.client.ask(what, body.clone(), within).await {
            Ok(answer) => Ok((live, answer)),
            Err(ClientError::Lost { .. }) => {
                let live = self.live().await?;
                let answer = live.client.ask(what, body, within).await;
                answer
                    .map(|answer| (live, answer))
                    .map_err(|error| self.client_error(error))
            }
            Err(error) => {
                // A helper that does not answer will not answer the next question either.
                if matches!(error, ClientError::TimedOut { .. }) {
                    self.forget(&live);
                }
                Err(self.client_error(error))
            }
        }
    }

    pub(crate) fn client_error(&self, error: ClientError) -> ReachError {
        ReachError::Client {
            host: self.host().to_owned(),
            error,
        }
    }
}
