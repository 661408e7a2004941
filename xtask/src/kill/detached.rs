//! A detached run with its controller inside a lab host, under that host's own systemd: followed from another login, killed, stopped, its machine
//! rebooted, and continued each time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::say::{complain, say};

use super::controller::{Failure, path, wait};
use super::host::Lab;

/// The lab's topology.
const TOPOLOGY: &str = "detach";
/// The host with the controller.
const CONTROLLER: &str = "ctl1";
/// The host that it works on.
const HOST: &str = "plain1";
/// Everything that is waited for here takes some seconds; systemd waits ten before it starts a controller again.
const WAIT_S_MAX: u64 = 180;
/// How often it is looked: each look is a login.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The exit code of a run that waits for a person.
const NEEDS_PERSON: u8 = 4;
/// The exit code of a run that a person ended.
const ABORTED: u8 = 9;

/// Arguments of `xtask detach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lab instance.
    #[arg(long, default_value = "detach")]
    id: String,
    /// The program under test; its helper lies beside it.
    #[arg(long, default_value = "target/release/overhaul")]
    overhaul: PathBuf,
    /// The folder with the definition and its kind.
    #[arg(long, default_value = "lab/detach")]
    definition: PathBuf,
}

/// Runs it; success when each step was begun once and the run came to its end.
pub fn run(args: &Args) -> ExitCode {
    let tried = Lab::new(&args.id).and_then(|lab| {
        lab.lab(&["down"])?;
        lab.lab(&["up", TOPOLOGY])?;
        let tried = Site::new(lab, args).and_then(|site| site.carry_out());
        tried.and_then(|lab| lab.down())
    });
    match tried {
        Ok(()) => {
            say("PASS");
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(format_args!(
                "detach: {error}\nthe hosts are left as they are; take them away with: cargo xtask lab --id {} down",
                args.id
            ));
            ExitCode::FAILURE
        }
    }
}

/// A controller's host that is ready, and the host that it works on.
struct Site {
    lab: Lab,
    id: String,
    began: Instant,
}

impl Site {
    /// Brings programs, keys, fleet and definition into the controller's host.
    fn new(lab: Lab, args: &Args) -> Result<Self, Failure> {
        let site = Self {
            lab,
            id: args.id.clone(),
            began: Instant::now(),
        };
        let dir = site.lab.dir()?;
        let helper = args.overhaul.with_file_name("overhaul-helper");
        let kind = args.definition.join("kinds/tiny.yaml");
        for (from, to, mode) in [
            (args.overhaul.as_path(), "/usr/local/bin/overhaul", "755"),
            (&helper, "/usr/local/bin/overhaul-helper", "755"),
            (&dir.join("ssh_key"), "/root/.ssh/id_ed25519", "600"),
            (&dir.join("known_hosts"), "/root/.ssh/known_hosts", "600"),
            (
                &args.definition.join("upgrade.yaml"),
                "/root/job/upgrade.yaml",
                "644",
            ),
            (&kind, "/root/job/kinds/tiny.yaml", "644"),
        ] {
            site.put(from, to, mode)?;
        }
        let address = site.address(HOST)?;
        site.on(
            CONTROLLER,
            &format!(
                "printf 'fleet: detach\\nhosts:\\n  {HOST}: {{address: {address}, user: root, roles: [plain]}}\\n' \
                 >/root/job/fleet.yaml"
            ),
        )?;
        Ok(site)
    }

    /// Everything, in order. Each command is a login of its own, which ends with it.
    fn carry_out(self) -> Result<Lab, Failure> {
        let said = self.on(
            CONTROLLER,
            "cd /root/job && overhaul run upgrade.yaml --fleet fleet.yaml --kinds kinds --yes --detach",
        )?;
        let run = said
            .lines()
            .find_map(|line| {
                line.strip_prefix("run ")?
                    .split_once(" goes on as the service")
            })
            .map(|(run, _)| run.to_owned())
            .ok_or_else(|| Failure::new(format!("run --detach says no run: {said}")))?;
        let unit = format!("overhaul-{run}");
        self.begun("first")?;
        self.must(
            "the service",
            &format!("systemctl is-active {unit}"),
            "active",
        )?;
        self.say(&format!(
            "run {run} goes on as {unit} after its login has ended"
        ));

        let mut watch = self.watch(&run)?;
        self.killed(&unit)?;
        let seen = self.watched(&mut watch)?;
        if !seen.contains("begun") {
            return Err(Failure::new(format!("watch saw no step begin: {seen}")));
        }
        self.say(
            "watch told of it in another login; killed with SIGKILL, systemd has started it again",
        );

        self.on(HOST, "touch /root/go-first")?;
        self.begun("second")?;
        self.stopped(&run, &unit)?;
        self.on(
            CONTROLLER,
            &format!("cd /root/job && overhaul resume {run} --detach"),
        )?;
        self.begun("third")?;
        self.must(
            "the service",
            &format!("systemctl is-active {unit}"),
            "active",
        )?;
        self.say("stopped with systemctl stop, the work on the host went on; resume --detach has taken it up");

        self.rebooted()?;
        self.on(HOST, "touch /root/go-third")?;
        self.ends_with(
            &format!("cd /root/job && overhaul resume {run}"),
            NEEDS_PERSON,
        )?;
        self.say("its machine was rebooted; resume has taken it up and comes to the gate");

        self.on(
            CONTROLLER,
            &format!("overhaul abort {run} --reason 'the gate was reached'"),
        )?;
        self.ends_with(&format!("cd /root/job && overhaul resume {run}"), ABORTED)?;
        let begun = self.on(HOST, "cat /root/begun")?;
        if begun != "first\nsecond\nthird\n" {
            return Err(Failure::new(format!("steps were begun as {begun:?}")));
        }
        self.say("ended by abort; each step was begun once");
        Ok(self.lab)
    }

    /// The controller is killed, and systemd starts it again.
    fn killed(&self, unit: &str) -> Result<(), Failure> {
        let pid = format!("systemctl show --property MainPID --value {unit}");
        let old = self.on(CONTROLLER, &pid)?;
        self.on(CONTROLLER, &format!("kill -KILL {}", old.trim()))?;
        self.wait("another controller", || {
            let now = self.on(CONTROLLER, &pid)?;
            Ok(now != old && now.trim() != "0")
        })?;
        self.must(
            "starts again",
            &format!("systemctl show --property NRestarts --value {unit}"),
            "1",
        )
    }

    /// The service is stopped as an operator does it: the run stands, and the work on the host does not.
    fn stopped(&self, run: &str, unit: &str) -> Result<(), Failure> {
        self.on(CONTROLLER, &format!("systemctl stop {unit}"))?;
        let said = self.on(CONTROLLER, &format!("overhaul status {run}"))?;
        if !said.contains("no process of this machine has it") {
            return Err(Failure::new(format!(
                "after systemctl stop, status says: {said}"
            )));
        }
        self.must_on(
            HOST,
            "work on the host",
            "pgrep -f '[g]o-second' >/dev/null && echo there",
            "there",
        )?;
        self.on(HOST, "touch /root/go-second").map(drop)
    }

    /// The controller's host boots anew.
    fn rebooted(&self) -> Result<(), Failure> {
        let boot = "cat /proc/sys/kernel/random/boot_id";
        let old = self.on(CONTROLLER, boot)?;
        // The login ends with the host: that it fails is what is wanted.
        let _ = self.on(CONTROLLER, "systemctl reboot");
        self.wait("the controller's host", || {
            Ok(self.on(CONTROLLER, boot).is_ok_and(|now| now != old))
        })
    }

    fn watch(&self, run: &str) -> Result<Child, Failure> {
        self.exec(
            CONTROLLER,
            &format!("timeout {WAIT_S_MAX} overhaul watch {run} --all 2>&1; true"),
            Stdio::null(),
        )
    }

    /// What it showed until the controller was gone.
    fn watched(&self, watch: &mut Child) -> Result<String, Failure> {
        wait(watch, WAIT_S_MAX)?;
        let out = watch.stdout.take();
        let read = out.map(std::io::read_to_string).transpose();
        let read = read.map_err(|error| Failure::new(format!("watch: {error}")))?;
        Ok(read.unwrap_or_default())
    }

    fn begun(&self, step: &str) -> Result<(), Failure> {
        self.wait(step, || {
            let begun = self.on(HOST, "cat /root/begun 2>/dev/null || true")?;
            Ok(begun.lines().any(|line| line == step))
        })
    }

    fn ends_with(&self, command: &str, code: u8) -> Result<(), Failure> {
        let said = self.on(CONTROLLER, &format!("{command}; echo exit code $?"))?;
        match said.trim_end().ends_with(&format!("exit code {code}")) {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "{command} does not end with {code}: {said}"
            ))),
        }
    }

    fn must(&self, what: &str, command: &str, wanted: &str) -> Result<(), Failure> {
        self.must_on(CONTROLLER, what, command, wanted)
    }

    fn must_on(&self, host: &str, what: &str, command: &str, wanted: &str) -> Result<(), Failure> {
        let said = self.on(host, command)?;
        match said.trim() == wanted {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "{what}: {}, not {wanted}",
                said.trim()
            ))),
        }
    }

    fn wait(
        &self,
        what: &str,
        mut so: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(WAIT_S_MAX) {
            if so()? {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Failure::new(format!(
            "{what} did not come within {WAIT_S_MAX} s"
        )))
    }

    fn on(&self, host: &str, command: &str) -> Result<String, Failure> {
        self.lab.lab(&["exec", host, "--", command])
    }

    fn address(&self, host: &str) -> Result<String, Failure> {
        let status = self.lab.lab(&["status", "--json"])?;
        let status: Value = serde_json::from_str(&status)
            .map_err(|error| Failure::new(format!("lab status: {error}")))?;
        let hosts = status.get("hosts").and_then(Value::as_array);
        let named = |one: &&Value| one.get("name").and_then(Value::as_str) == Some(host);
        hosts
            .and_then(|hosts| hosts.iter().find(named)?.get("address")?.as_str())
            .map(str::to_owned)
            .ok_or_else(|| Failure::new(format!("lab status names no address of {host}")))
    }

    /// A file of this machine becomes one of the controller's host.
    fn put(&self, from: &Path, to: &str, mode: &str) -> Result<(), Failure> {
        let file = File::open(from).map_err(|error| {
            Failure::new(format!(
                "{}: {error}; scripts/build makes the programs",
                path(from)
            ))
        })?;
        let command = format!("install -D -m {mode} /dev/stdin {to}");
        let mut child = self.exec(CONTROLLER, &command, Stdio::from(file))?;
        match wait(&mut child, WAIT_S_MAX)? {
            Some(0) => Ok(()),
            code => Err(Failure::new(format!(
                "{} does not get to {to}: {code:?}",
                path(from)
            ))),
        }
    }

    fn exec(&self, host: &str, command: &str, input: Stdio) -> Result<Child, Failure> {
        let xtask =
            std::env::current_exe().map_err(|error| Failure::new(format!("own path: {error}")))?;
        Command::new(xtask)
            .args(["lab", "--id", &self.id, "exec", host, "--", command])
            .stdin(input)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("lab exec: {error}")))
    }

    fn say(&self, words: &str) {
        say(format_args!(
            "{:4} s  {words}",
            self.began.elapsed().as_secs()
        ));
    }
}
