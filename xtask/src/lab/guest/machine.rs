//! A virtual machine: switched on, reached, and killed.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::disk::{Aim, Cut, Disk};
use super::nbd;
use crate::lab::command::{bounded, output_of, output_with_input};
use crate::lab::error::{LabError, Named, Result};

/// A boot takes 27 s under emulation on an idle machine; one whose processors all others want first took ten times that.
const BOOT_S_MAX: u64 = 900;
/// How often a booting machine is tried.
const BOOT_POLL: Duration = Duration::from_millis(500);
/// One try must not use up the whole wait.
const TRY_S_MAX: u64 = 30;
/// The emulated machine: memory enough for an initial file system and apt, two processors so that a step and its supervisor run side by side.
const MEMORY_MB: u32 = 768;
const PROCESSORS: u32 = 2;
/// The kernel's words. Protections against other guests cost time, and there are none. The kernel's test of its timer fails where this machine has
/// little time for the guest.
const KERNEL_LINE: &str =
    "root=/dev/vda ro console=ttyS0 quiet net.ifnames=0 mitigations=off no_timer_check";

/// A virtual machine that can be switched on.
#[derive(Debug)]
pub struct Guest {
    /// The instance's folder, with `ssh_key`, `known_hosts` and `fleet.yaml`.
    pub folder: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
    pub(super) disk: PathBuf,
    pub(super) address: &'static str,
    pub(super) port: u16,
}

/// A virtual machine that is on. It goes off when the value does.
#[derive(Debug)]
pub struct Running {
    child: Child,
    disk: Disk,
}

impl Guest {
    /// Switches it on; does not wait for its ssh server.
    ///
    /// # Errors
    /// When qemu cannot be started.
    pub fn power_on(&self) -> Result<Running> {
        let socket = self.folder.join("disk.sock");
        // The socket of a machine that is off leads nowhere.
        if socket.exists() {
            std::fs::remove_file(&socket).named(&socket)?;
        }
        let listener = UnixListener::bind(&socket).named(&socket)?;
        let disk = Disk::open(&self.disk).named(&self.disk)?;
        let mut served = disk.clone();
        thread::spawn(move || {
            if let Ok((mut stream, _)) = listener.accept() {
                // A connection that breaks is that of a machine that was killed.
                let _ = nbd::serve(&mut stream, &mut served);
            }
        });
        let log = self.folder.join("qemu.log");
        let errors = File::options().create(true).append(true).open(&log);
        let errors = errors.named(&log)?;
        let child = self.command(&socket).stderr(errors).spawn();
        let child = child.map_err(|source| LabError::Start {
            program: "qemu-system-x86_64 (`lab/install.sh kernel` installs it)".into(),
            source,
        })?;
        Ok(Running { child, disk })
    }

    /// qemu with nothing but what the machine needs. Its disk has a write cache, as the guest is told, so that the guest flushes what must be
    /// durable; `cache.no-flush=off` passes that on. The network leads from this machine's loopback to the guest's ssh server, and nowhere else.
    fn command(&self, socket: &std::path::Path) -> Command {
        // It ends with this process, also when that is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
            .args(["-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-monitor", "none"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-smp", &PROCESSORS.to_string()])
            .args(["-m", &MEMORY_MB.to_string()])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd)
            .args(["-append", KERNEL_LINE])
            .arg("-blockdev")
            .arg(format!(
                "driver=nbd,node-name=disk,server.type=unix,server.path={},cache.no-flush=off",
                socket.display()
            ))
            .args(["-device", "virtio-blk-pci,drive=disk,write-cache=on"])
            .arg("-netdev")
            .arg(format!(
                "user,id=net,restrict=on,hostfwd=tcp:{}:{}-:22",
                self.address, self.port
            ))
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .args(["-device", "virtio-rng-pci"])
            .arg("-serial")
            .arg(format!(
                "file:{}",
                self.folder.join("console.log").display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Waits until the machine lets root in, and says how long that took.
    ///
    /// # Errors
    /// When it goes off or takes too long.
    pub fn wait_until_up(&self, running: &mut Running) -> Result<Duration> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(BOOT_S_MAX) {
            if self.run(TRY_S_MAX, "true").is_ok() {
                return Ok(began.elapsed());
            }
            if let Ok(Some(status)) = running.child.try_wait() {
                let folder = self.folder.display();
                return Err(LabError::State(format!(
                    "the machine went off while booting ({status}); see {folder}/console.log and {folder}/qemu.log"
                )));
            }
            thread::sleep(BOOT_POLL);
        }
        Err(LabError::Late {
            what: "ssh to the virtual machine".into(),
            seconds: BOOT_S_MAX,
        })
    }

    /// Runs a shell line as root and returns its output.
    ///
    /// # Errors
    /// When it fails, or takes longer than the bound.
    pub fn run(&self, bound_s: u64, line: &str) -> Result<String> {
        output_of(self.ssh(bound_s).arg(line))
    }

    /// As `run`, with text on its standard input.
    ///
    /// # Errors
    /// As for `run`.
    pub fn run_with_input(&self, bound_s: u64, line: &str, input: &str) -> Result<String> {
        output_with_input(self.ssh(bound_s).arg(line), input.as_bytes())
    }

    fn ssh(&self, bound_s: u64) -> Command {
        let mut command = bounded(bound_s, "ssh");
        let known = self.folder.join("known_hosts");
        command
            .args(["-F", "none", "-p", &self.port.to_string(), "-i"])
            .arg(self.folder.join("ssh_key"))
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .args(["-o", "GlobalKnownHostsFile=none"])
            .args(["-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"])
            .args(["-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR"])
            .arg(format!("root@{}", self.address));
        command
    }
}

impl Running {
    /// Says when the power goes.
    pub fn cut(&self, aim: Aim) {
        self.disk.cut(aim, Pid::from_child(&self.child));
    }

    /// Whether it is gone.
    pub fn is_cut(&self) -> bool {
        self.disk.is_cut()
    }

    /// Waits until the power is gone; none when that does not happen within the bound, and then it will not.
    pub fn wait_for_cut(&mut self, bound: Duration) -> Option<Cut> {
        let cut = self.disk.wait_for_cut(bound)?;
        let _ = self.child.wait();
        Some(cut)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
