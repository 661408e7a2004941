//! The lab host of a trial, used through the lab's own commands.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::controller::Failure;

/// The host with the database.
pub const HOST: &str = "db1";

/// A lab instance with a database host.
pub struct Lab {
    id: String,
    xtask: PathBuf,
}

impl Lab {
    /// The instance with this id; it is made by [`Lab::fresh`].
    pub fn new(id: &str) -> Result<Self, Failure> {
        let xtask =
            std::env::current_exe().map_err(|error| Failure::new(format!("own path: {error}")))?;
        Ok(Self {
            id: id.to_owned(),
            xtask,
        })
    }

    /// New Debian 12 hosts of a topology; its database holds so many megabytes.
    pub fn fresh(&self, topology: &str, mb: u32) -> Result<(), Failure> {
        self.fresh_hosts(topology, &[])?;
        self.load(mb)
    }

    /// New hosts of a topology, with more words for `up`.
    pub fn fresh_hosts(&self, topology: &str, more: &[String]) -> Result<(), Failure> {
        self.lab(&["down"])?;
        let mut words = vec!["up", topology];
        words.extend(more.iter().map(String::as_str));
        self.lab(&words).map(drop)
    }

    /// Fills the database with so many megabytes.
    pub fn load(&self, mb: u32) -> Result<(), Failure> {
        self.lab(&["load-postgres", HOST, "--mb", &mb.to_string()])?;
        Ok(())
    }

    /// Takes everything away.
    pub fn down(&self) -> Result<(), Failure> {
        self.lab(&["down"]).map(drop)
    }

    /// The folder with fleet.yaml.
    pub fn dir(&self) -> Result<PathBuf, Failure> {
        Ok(PathBuf::from(self.lab(&["dir"])?.trim()))
    }

    /// A digest over all rows.
    pub fn rows(&self) -> Result<String, Failure> {
        Ok(self.lab(&["row-digest", HOST])?.trim().to_owned())
    }

    /// A command on the host; its output.
    pub fn on_host(&self, command: &str) -> Result<String, Failure> {
        self.lab(&["exec", HOST, "--", command])
    }

    /// The command of the instance, as a script calls it.
    pub fn words(&self) -> String {
        format!("{} lab --id {}", self.xtask.display(), self.id)
    }

    /// A subcommand of `lab`, not yet started.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.xtask);
        command.args(["lab", "--id", &self.id]).args(arguments);
        command
    }

    /// A subcommand of `lab`; its output.
    pub fn lab(&self, arguments: &[&str]) -> Result<String, Failure> {
        let output = self
            .command(arguments.iter().copied())
            .output()
            .map_err(|error| Failure::new(format!("lab {}: {error}", arguments.join(" "))))?;
        text(&output).map_err(|why| Failure::new(format!("lab {}: {why}", arguments.join(" "))))
    }
}

fn text(output: &Output) -> Result<String, String> {
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}
