//! The controller's own helper: a child of this process over pipes, with a receipt store of its own.
//!
//! It ends with us; work that it began is detached from it and goes on, as on a host.

use crate::client::{ClientError, HelperClient};
use crate::error::ReachError;
use overhaul_model::id::HostName;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// From the start of the child to its greeting: a busy disk delays the making of its store.
const START_S_MAX: u64 = 30;

/// Where programs of the controller look for others.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the controller's own programs find of our environment: who we are, and the agent with the keys.
/// It is told when they start, so that it never stands in a plan.
const ENVIRONMENT: [&str; 4] = ["HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"];

/// Our environment, as far as programs of the controller find it.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    ENVIRONMENT
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

/// How the controller's helper is started.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    /// The helper program, a file of this machine.
    pub(crate) program: PathBuf,
    /// Its state folder.
    pub(crate) state: PathBuf,
}

impl Near {
    /// Starts a helper.
    pub(crate) async fn serve(&self) -> Result<HelperClient, ReachError> {
        let name = HostName::controller().to_string();
        let lost = |error| ReachError::Client {
            host: name.clone(),
            error,
        };
        let mut child = Command::new(&self.program)
            .args(["serve", "--state"])
            .arg(&self.state)
            .env_clear()
            .env("PATH", PATH)
            .envs(environment())
            .current_dir("/")
            // Ctrl-C at the terminal is for us alone.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                lost(ClientError::Lost {
                    why: format!("{} cannot be started: {error}", self.program.display()),
                })
            })?;
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            return Err(lost(ClientError::Lost {
                why: "it has no pipes".to_owned(),
            }));
        };
        // It ends when its standard input does; somebody must take note of that.
        tokio::spawn(async move { child.wait().await });
        HelperClient::start(stdout, stdin, stderr, Duration::from_secs(START_S_MAX))
            .await
            .map_err(lost)
    }
}
