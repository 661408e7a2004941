//! The parts put together: hands on hosts, the helper program, time.

use crate::args::HostArgs;
use crate::compile::NO_DATA;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::secrets;
use jiff::Timestamp;
use overhaul_engine::ports::Clock;
use overhaul_model::fleet::{Fleet, Host};
use overhaul_model::id::HostName;
use overhaul_model::secret::Secret;
use overhaul_model::span::Span;
use overhaul_reach::ssh::Passphrases;
use overhaul_reach::{HelperBinary, Settings, SetupError, SshReach};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The helper's file name beside the main program.
const HELPER_NAME: &str = "overhaul-helper";

/// How long a lost connection is made again, like `90s`; tests of lost connections shorten it.
const RECONNECT_BUDGET_ENV: &str = "OVERHAUL_RECONNECT_BUDGET";

/// Silence before a sign of life is asked for, like `5s`; for the same tests.
const KEEPALIVE_ENV: &str = "OVERHAUL_KEEPALIVE";

/// Hands on these hosts. Connects to nothing yet.
///
/// # Errors
/// When the helper program or a password cannot be read.
pub fn reach(
    fleet: &str,
    hosts: &BTreeMap<HostName, Host>,
    named: BTreeMap<HostName, Secret>,
    args: &HostArgs,
    data: &Path,
) -> Result<Arc<SshReach>, Failure> {
    let helper = HelperBinary::load(&helper_path(args)?)?;
    let passwords = secrets::passwords(args, named, hosts.keys())?;
    let fleet = Fleet {
        name: fleet.to_owned(),
        hosts: hosts.clone(),
    };
    let reach = SshReach::new(&fleet, &passwords, &helper, data, settings()?)?;
    let reach = match data.parent() {
        Some(run) if data != Path::new(NO_DATA) => reach.with_controller(run),
        _ => reach,
    };
    Ok(Arc::new(reach))
}

fn settings() -> Result<Settings, Failure> {
    let mut settings = Settings {
        passphrases: Passphrases::from(secrets::passphrase),
        ..Settings::default()
    };
    if let Some(span) = span(RECONNECT_BUDGET_ENV)? {
        settings.reconnect_budget = span.as_duration();
    }
    if let Some(span) = span(KEEPALIVE_ENV)? {
        settings.keepalive_interval = span.as_duration();
    }
    Ok(settings)
}

fn span(name: &str) -> Result<Option<Span>, Failure> {
    let Some(value) = std::env::var_os(name) else {
        return Ok(None);
    };
    let parsed = value.to_string_lossy().parse::<Span>();
    parsed
        .map(Some)
        .map_err(|error| Failure::input(format!("{name}: {error}")))
}

/// The helper: named, else beside this program.
fn helper_path(args: &HostArgs) -> Result<PathBuf, Failure> {
    if let Some(named) = &args.helper {
        return Ok(named.clone());
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| Some(own.parent()?.join(HELPER_NAME)));
    match beside {
        Some(path) if path.is_file() => Ok(path),
        _ => Err(Failure::input(format!(
            "the helper program {HELPER_NAME} is not beside overhaul"
        ))
        .hint("name it: --helper FILE, or OVERHAUL_HELPER in the environment")),
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        let message = error.to_string();
        match error {
            SetupError::Helper { .. }
            | SetupError::SshWords { .. }
            | SetupError::NoSuchHost(_) => Self::input(message),
            SetupError::Pins { .. } => Self::new(Exit::StoreTrouble, message),
            SetupError::OpenFiles { .. } => Self::new(Exit::Internal, message)
                .hint("raise it: `ulimit -Hn` of the shell that starts overhaul, or LimitNOFILE= of its unit"),
        }
    }
}

/// The machine's clocks. The time of day does not lie before what a journal has already: the clock may have
/// been set back since then, or was wrong then. It goes on from there until the clock has caught up.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
    not_before: Timestamp,
}

impl SystemClock {
    /// From now on, but not before the last row of the journal.
    pub fn after(last: Option<Timestamp>) -> Self {
        Self {
            began: Instant::now(),
            not_before: last.unwrap_or(Timestamp::MIN),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        if now >= self.not_before {
            return now;
        }
        self.elapsed().after(self.not_before).max(now)
    }

    fn elapsed(&self) -> Span {
        Span::from_ms(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn sleep(&self, span: Span) {
        tokio::time::sleep(span.as_duration()).await;
    }
}
