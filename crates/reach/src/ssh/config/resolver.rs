//! From what the inventory says to what counts: asked once for each equal question.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::account::Account;
use super::asked::Asked;
use super::error::ConfigError;
use super::files::Files;
use super::program;
use super::resolved::Resolved;

/// Processes of `ssh -G` at one time: each takes 5 to 15 ms of a processor, and the connections that
/// follow take more.
const PROGRAMS_MAX: usize = 8;

type Answer = Arc<OnceCell<Arc<Resolved>>>;

/// Knows how each host is reached. Nothing is read before the first question.
#[derive(Debug)]
pub struct Resolver {
    account: Account,
    program: Option<PathBuf>,
    turns: Semaphore,
    /// Whether the usual files say nothing that matters.
    silent: OnceCell<bool>,
    answers: Mutex<HashMap<Asked, Answer>>,
}

impl Resolver {
    /// With the program `ssh`, where there is one.
    pub fn new(account: Account) -> Self {
        Self::with_program(account, program::find())
    }

    /// With this program as `ssh`, or with our own reader alone.
    pub fn with_program(account: Account, program: Option<PathBuf>) -> Self {
        Self {
            account,
            program,
            turns: Semaphore::new(PROGRAMS_MAX),
            silent: OnceCell::new(),
            answers: Mutex::new(HashMap::new()),
        }
    }

    /// The account that everything is resolved for.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What counts for a host. An answer holds as long as this does; a failure is asked about again.
    ///
    /// # Errors
    /// When the configuration is wrong, or takes too long.
    pub async fn resolve(&self, asked: &Asked) -> Result<Arc<Resolved>, ConfigError> {
        let answer = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(asked.clone()).or_default())
        };
        let resolved = answer.get_or_try_init(|| self.find_out(asked)).await?;
        Ok(Arc::clone(resolved))
    }

    async fn find_out(&self, asked: &Asked) -> Result<Arc<Resolved>, ConfigError> {
        let words = asked.words()?;
        let Some(program) = &self.program else {
            return self.by_ourselves(asked);
        };
        if asked.args.is_empty() && is_plain(&asked.host) && self.silent().await {
            return Files::default().resolve(asked, &self.account).map(Arc::new);
        }
        let _turn = self.turns.acquire().await.map_err(|error| {
            let reason = error.to_string();
            ConfigError::Program { reason }
        })?;
        let output = program::ask(program, &words).await?;
        Resolved::parse(&asked.host, &output).map(Arc::new)
    }

    fn by_ourselves(&self, asked: &Asked) -> Result<Arc<Resolved>, ConfigError> {
        let file = asked.config_file()?;
        let files = Files::load(&self.account, file.as_deref())?;
        files.resolve(asked, &self.account).map(Arc::new)
    }

    /// Whatever our reader does not understand is no silence.
    async fn silent(&self) -> bool {
        let look =
            || async { Files::load(&self.account, None).is_ok_and(|files| files.say_nothing()) };
        self.account.name.is_some() && *self.silent.get_or_init(look).await
    }
}

/// A name or a number, nothing that `ssh` would take apart.
fn is_plain(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    host.bytes().all(plain) || host.parse::<std::net::IpAddr>().is_ok()
}
