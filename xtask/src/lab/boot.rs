//! The long-lived parts of an instance: the launcher that stands for a host's power supply, and the mirror.

use std::fs;
use std::process::{Command, Stdio};

use crate::say::complain;

use super::error::{LabError, Named, Result};
use super::images::{lower_option, mirror_folder};
use super::instance::Instance;
use super::mirror::{self, Front};
use super::paths;
use super::process::Record;
use super::sources;

/// What nspawn ends with when the host asked for a reboot.
const REBOOT_STATUS: i32 = 133;

/// Keeps a host on until it switches itself off. This wait alone has no bound: it is the life of the host, and `down` ends it.
pub fn launch(instance: &Instance, name: &str) -> Result<()> {
    let record = instance.host(name)?;
    let folder = instance.host_folder(name);
    let Some(_lock) = paths::try_lock(&folder.join("launcher.lock"))? else {
        return Ok(());
    };
    instance.member_group(name)?.join()?;
    Record::of_self(&folder.join("launcher.json"))?;
    loop {
        let log = folder.join("console.log");
        let console = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .named(&log)?;
        let status = Command::new("unshare")
            .args(["--mount", "--propagation", "slave", "sh"])
            .arg(paths::data().join("boot.sh"))
            .arg(lower_option(&record.lowers))
            .args(["tree", "work", "root"].map(|part| folder.join(part)))
            .args([&instance.machine_name(name), name, &instance.bridge()])
            .arg(if record.spec.containers {
                "containers"
            } else {
                "plain"
            })
            .stdin(Stdio::null())
            .stdout(console)
            .status()
            .map_err(|source| LabError::Start {
                program: "unshare".into(),
                source,
            })?;
        if status.code() != Some(REBOOT_STATUS) {
            complain(format_args!("{name} is off: {status}"));
            return Ok(());
        }
    }
}

/// Serves packages to the hosts of an instance until `down` ends it.
pub fn serve_mirror(instance: &Instance) -> Result<()> {
    let Some(_lock) = paths::try_lock(&instance.file("mirror.lock"))? else {
        return Ok(());
    };
    instance.member_group(MIRROR_MEMBER)?.join()?;
    let front = Front::new(mirror_folder()?, &sources::of_this_machine()?);
    let listener = mirror::bind(instance.gateway())?;
    // Written only now: whoever sees the record may connect.
    Record::of_self(&instance.file("mirror.json"))?;
    front.serve(&listener);
    Ok(())
}

/// The mirror's place among an instance's groups; the dot keeps it apart from every host name.
pub const MIRROR_MEMBER: &str = "mirror.service";
