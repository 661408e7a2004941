//! A folder with files, in which the command is called; what it shows, made the same for every call.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No call of these tests takes longer on a busy machine.
const CALL_S_MAX: u64 = 120;

/// A folder, and the command in it.
pub struct Scene {
    dir: TempDir,
    helper: Option<PathBuf>,
}

/// What a call showed.
pub struct Shown {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    line: String,
}

impl Shown {
    /// All of it, for a snapshot.
    pub fn all(&self) -> String {
        let mut out = format!("$ {}\nexit code {}\n", self.line, self.code);
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                out.push_str(&format!("--- {name}\n{text}"));
            }
        }
        out
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }

    /// Asserts the exit code.
    pub fn with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }
}

impl Scene {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self {
            dir: TempDir::new().unwrap(),
            helper: None,
        };
        for (name, text) in files {
            scene.write(name, text);
        }
        scene
    }

    #[must_use]
    pub fn with_helper(mut self, helper: PathBuf) -> Self {
        self.helper = Some(helper);
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_overhaul"));
        command.args(args);
        self.at_home(command)
    }

    /// Calls the command to its end with its clock moved, like `-2h`. Its monotonic clock goes on as it did.
    pub fn call_at(&self, shift: &str, args: &[&str]) -> Shown {
        let child = self.start_at(shift, args);
        self.end(child, args)
    }

    /// The same, and goes on.
    pub fn start_at(&self, shift: &str, args: &[&str]) -> Child {
        // The program `faketime` would stay between us and the command, which is to be killed.
        let asked = Command::new("faketime")
            .args(["-f", "+0", "sh", "-c", "printf %s \"$LD_PRELOAD\""])
            .output()
            .expect("faketime: install the package faketime");
        let library = String::from_utf8(asked.stdout).unwrap();
        assert!(library.contains("faketime"), "{library}");
        let mut command = self.command(args);
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME", shift)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        command.spawn().unwrap()
    }

    /// Runs a script with a small disk of its own at `state`; `$OVERHAUL` is the command.
    pub fn on_small_disk(&self, size: &str, script: &str) -> Shown {
        std::fs::create_dir_all(self.path("state")).unwrap();
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o size={size} none state\n{script}");
        command.args(["-m", "sh", "-euc", &script]);
        let mut command = self.at_home(command);
        command.env("OVERHAUL", env!("CARGO_BIN_EXE_overhaul"));
        self.end(command.spawn().unwrap(), &["SCRIPT"])
    }

    /// Programs of the scene come before those of this machine.
    fn programs(&self) -> std::ffi::OsString {
        let mut path = self.path("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }

    fn at_home(&self, mut command: Command) -> Command {
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", self.programs())
            .env("HOME", self.path("home"))
            .env("USER", "nobody-of-this-name")
            .env("TZ", "UTC")
            .env("OVERHAUL_STATE", self.path("state"))
            .env("OVERHAUL_RECONNECT_BUDGET", "10s")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(helper) = &self.helper {
            command.env("OVERHAUL_HELPER", helper);
        }
        command
    }

    /// Calls the command to its end.
    pub fn call(&self, args: &[&str]) -> Shown {
        let child = self.start(args);
        self.end(child, args)
    }

    /// Calls the command and goes on.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    /// Waits for a call's end.
    pub fn end(&self, child: Child, args: &[&str]) -> Shown {
        let output = bounded(child, args);
        Shown {
            code: output.status.code().unwrap_or(-1),
            stdout: self.same(&output.stdout),
            stderr: self.same(&output.stderr),
            line: format!("overhaul {}", args.join(" ")),
        }
    }

    /// Text in which the folder and all digests have always the same name: plans change with the planner.
    fn same(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let dir = self.dir.path().display().to_string();
        let text = text.replace(&dir, "DIR");
        let mut out = String::new();
        let mut digits = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_hexdigit() {
                digits.push(c);
                continue;
            }
            out.push_str(if digits.len() == 64 {
                "DIGEST"
            } else {
                &digits
            });
            digits.clear();
            out.push(c);
        }
        out.pop();
        out
    }
}

fn bounded(child: Child, args: &[&str]) -> Output {
    let id = child.id();
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&ended);
    let guard = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(CALL_S_MAX);
        while Instant::now() < until {
            if seen.load(std::sync::atomic::Ordering::SeqCst) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        kill(id, "KILL");
        true
    });
    let output = child.wait_with_output().unwrap();
    ended.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(
        !guard.join().unwrap(),
        "{args:?} took longer than {CALL_S_MAX} s: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Sends a signal to a process of ours.
pub fn kill(id: u32, signal: &str) {
    let sent = Command::new("kill")
        .args(["-s", signal, &id.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Waits until a file is there.
pub fn wait_for(path: &Path) {
    let until = Instant::now() + Duration::from_secs(CALL_S_MAX);
    while !path.exists() {
        assert!(Instant::now() < until, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}
