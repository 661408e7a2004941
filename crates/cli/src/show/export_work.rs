//! What a primitive or a measure is in the hands of a person: commands that can be copied.

use crate::text::{self, shell_word};
use overhaul_model::action::Undo;
use overhaul_model::belonging::{BelongingAct, BelongingOp};
use overhaul_model::definition::Test;
use overhaul_model::membership::Membership;
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{
    Command, Edit, EditFile, Exec, MachineAct, MachineOp, Measure, NotAvailable, Persist,
    Primitive, Receive, Restore, TakeOver, UnitState, WriteFile,
};
use std::fmt::Write as _;

/// Ends the text of a file or a script in a command that can be copied.
const END: &str = "OVERHAUL_END";

/// How tar puts back all that it keeps.
const UNTAR: &str = "tar --extract --acls --xattrs --xattrs-include='*' --preserve-permissions --same-owner --numeric-owner";

/// A part of what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A sentence.
    Say(String),
    /// Commands for a shell.
    Shell(String),
}

fn say(text: impl Into<String>) -> Piece {
    Piece::Say(text.into())
}

fn shell(text: impl Into<String>) -> Piece {
    Piece::Shell(text.into())
}

fn words<S: AsRef<str>>(argv: &[S]) -> String {
    let words: Vec<String> = argv.iter().map(|word| shell_word(word.as_ref())).collect();
    words.join(" ")
}

/// A command as it is typed.
pub fn command(exec: &Exec) -> String {
    let mut out = String::new();
    if let Some(cwd) = &exec.cwd {
        let _ = writeln!(out, "cd {}", shell_word(cwd));
    }
    for (name, value) in &exec.env {
        let _ = writeln!(out, "export {name}={}", shell_word(value));
    }
    match &exec.command {
        Command::Argv(argv) => out.push_str(&words(argv)),
        Command::Shell(script) => {
            let script = script.trim_end();
            let _ = write!(out, "sh -eu <<'{END}'\n{script}\n{END}");
        }
    }
    out
}

fn exec(exec: &Exec) -> Vec<Piece> {
    let mut out = vec![shell(command(exec))];
    if exec.success != [0] {
        let codes: Vec<String> = exec.success.iter().map(ToString::to_string).collect();
        out.push(say(format!(
            "It went well with exit code {}.",
            codes.join(" or ")
        )));
    }
    out
}

/// The act of a step.
pub fn work(primitive: &Primitive) -> Vec<Piece> {
    match primitive {
        Primitive::Exec(run) => exec(run),
        Primitive::Local(run) => {
            let mut out = vec![say("On the controller, not on the host:")];
            out.extend(exec(run));
            out
        }
        Primitive::WriteFile(file) => write_file(file),
        Primitive::EditFile(file) => edit_file(file),
        Primitive::Reboot(reboot) => vec![
            shell(format!(
                "cat /proc/sys/kernel/random/boot_id\n{}",
                words(&reboot.command)
            )),
            say(format!(
                "The host must answer again within {}, and `cat /proc/sys/kernel/random/boot_id` must show another id than before.",
                reboot.back_within
            )),
        ],
        Primitive::Fetch(fetch) => {
            let mut out = vec![say(format!(
                "Its standard output becomes the file `{}` below the run's data folder on the controller; compare `sha256sum` of both ends:",
                fetch.file
            ))];
            out.extend(exec(&fetch.exec));
            out
        }
        Primitive::Feed(feed) => {
            let mut out = vec![say(format!(
                "Its standard input is the file `{}` of the run's data folder on the controller, with the digest that `{}` gave:",
                feed.file, feed.digest_from
            ))];
            out.extend(exec(&feed.exec));
            out
        }
        Primitive::Persist(persist) => self::persist(persist),
        Primitive::Restore(restore) => self::restore(restore),
        Primitive::Receive(receive) => self::receive(receive),
        Primitive::TakeOver(take) => take_over(take),
        Primitive::Machine(act) => machine(act),
        Primitive::Belonging(act) => belonging(act),
        Primitive::Wait(wait) => {
            let mut out = vec![say(format!(
                "Wait for at most {}, and look every {}, until this is so:",
                wait.at_most, wait.every
            ))];
            out.extend(measure(&wait.until));
            out
        }
        Primitive::Ask(ask) => vec![say(format!(
            "**Decide before you go on:** {}",
            ask.question
        ))],
        Primitive::NotAvailable(later) => not_available(later),
        Primitive::Announce(announce) => vec![say(format!("Tell people: {}", announce.message))],
    }
}

fn not_available(later: &NotAvailable) -> Vec<Piece> {
    let with: Vec<String> = later
        .with
        .iter()
        .map(|(k, v)| format!("{k}: {v}"))
        .collect();
    vec![say(format!(
        "**Overhaul cannot carry this out in this version.** It is to be done to {}. {}",
        later.subject,
        with.join("; ")
    ))]
}

fn persist(persist: &Persist) -> Vec<Piece> {
    vec![
        say(format!(
            "These paths are copied to the controller, into the archive `{}` below the run's data folder, with owners, modes, ACLs, extended attributes, hard links and sparse files. By hand, into a file of another name, because tar's archives are not Overhaul's:",
            persist.file
        )),
        shell(format!(
            "tar --create --acls --xattrs --sparse --numeric-owner{}{} --absolute-names --file - -- {}",
            if persist.one_filesystem {
                " --one-file-system"
            } else {
                ""
            },
            persist.exclude.iter().fold(String::new(), |out, path| {
                out + " " + &shell_word(&format!("--exclude={path}/*"))
            }),
            words(&persist.paths)
        )),
    ]
}

fn receive(receive: &Receive) -> Vec<Piece> {
    let Receive { data, from, first } = receive;
    let units = match data.units.as_slice() {
        [] => String::new(),
        units => format!("; {} must be stopped there", units.join(", ")),
    };
    let mut out = Vec::new();
    if let Some(first) = first {
        out.push(say(format!("On {from}, where it comes from, before:")));
        out.extend(exec(first));
    }
    out.extend([
        say(format!(
            "The dataset {} comes from {from} to this host: {}, with owners, modes, ACLs, extended attributes, hard links and sparse files{units}. By hand, with the output of this command on {from} unpacked here (`tar --extract --acls --xattrs --numeric-owner --absolute-names --file -`), and compared afterwards:",
            data.dataset,
            data.paths.join(", ")
        )),
        shell(format!(
            "tar --create --acls --xattrs --sparse --numeric-owner --absolute-names --file - -- {}",
            words(&data.paths)
        )),
    ]);
    out
}

fn take_over(take: &TakeOver) -> Vec<Piece> {
    let mut out = Vec::new();
    if let Some(first) = &take.first {
        let from = &take.from;
        out.push(say(format!("On {from}, which must be as it was, before:")));
        out.extend(exec(first));
    }
    out.push(say(format!(
        "From here {} counts on this host alone: {} of {} is not written again, and its services stay down there. By hand, write that down where everybody sees it.",
        take.data.dataset,
        take.data.paths.join(", "),
        take.from
    )));
    out
}

fn restore(restore: &Restore) -> Vec<Piece> {
    let below = |path: &String| match path.trim_start_matches('/') {
        "" => ".".to_owned(),
        name => name.to_owned(),
    };
    let names: Vec<String> = restore.paths.iter().map(below).collect();
    vec![
        say(format!(
            "The archive `{}` of the run's data folder is put back at {}. An archive that Overhaul made is unpacked by its own program, as root on the controller (`RUN` is the run, `DIR` a new folder), and goes from there to the host, where what is in the way is moved aside first:",
            restore.file,
            restore.paths.join(", ")
        )),
        shell(format!(
            "overhaul data unpack {} --run RUN --into DIR\ntar --create --acls --xattrs --xattrs-include='*' --sparse --numeric-owner --directory DIR --file - -- {} | ssh HOST {}",
            shell_word(&restore.file),
            words(&names),
            shell_word(&format!("{UNTAR} --directory / --file -"))
        )),
        say("An archive that was made by hand with tar, on the host:"),
        shell(format!("{UNTAR} --absolute-names --file -")),
    ]
}

fn machine(act: &MachineAct) -> Vec<Piece> {
    let provider = act.provider.as_ref();
    let at = provider.map_or_else(
        || "by hand".to_owned(),
        |p| format!("at the provider `{p}`"),
    );
    let image = act.image.as_ref();
    let from = image.map_or_else(String::new, |image| format!(" from the image `{image}`"));
    let name = &act.machine;
    let what = match act.op {
        MachineOp::Describe => format!("Look at the machine `{name}` {at}; change nothing."),
        MachineOp::Rebuild => {
            format!("Make the machine `{name}` anew {at}{from}. **Everything on it is lost.**")
        }
        MachineOp::Stop => format!("Switch the machine `{name}` off {at}."),
        MachineOp::Start => format!("Switch the machine `{name}` on {at}."),
        MachineOp::Create => format!("Make the machine `{name}` {at}{from}."),
        MachineOp::Rename => format!(
            "Give the machine `{name}` the name `{}` {at}.",
            act.other.as_deref().unwrap_or_default()
        ),
        MachineOp::Unprotect => {
            format!("Switch off the protection of the machine `{name}` {at}.")
        }
        MachineOp::Prove if act.takes_over() => format!(
            "From here, `{name}` is the machine of this host. See that the one before is off, and that the new one answers at its own address."
        ),
        MachineOp::Destroy => {
            format!("End the machine `{name}` {at}. **Everything on it is lost.**")
        }
        MachineOp::Prove => format!(
            "Prove that `{name}` was made anew: another machine id, behind a host key that you entered into the known hosts yourself."
        ),
    };
    let mut out = vec![say(what)];
    if act.op.harms() {
        out.push(say(
            "Make sure first that it is the right machine: compare its name, addresses and machine id with the host.",
        ));
    }
    if act.op.makes_new() || act.op == MachineOp::Start {
        out.push(say(format!(
            "It must answer over SSH within {}.",
            act.answers_within
        )));
    }
    out
}

fn belonging(act: &BelongingAct) -> Vec<Piece> {
    let (name, machine) = (&act.name, &act.machine);
    let kind = act.kind.word();
    let at = format!("at the provider `{}`", act.provider);
    let what = match act.op {
        BelongingOp::Describe => format!("Look at the {kind} `{name}` {at}; change nothing."),
        BelongingOp::Create => format!("Make the {kind} `{name}` {at}."),
        BelongingOp::Attach => {
            format!("Bring the {kind} `{name}` to the machine `{machine}` {at}.")
        }
        BelongingOp::Detach => {
            format!("Take the {kind} `{name}` off the machine `{machine}` {at}.")
        }
    };
    let mut out = vec![say(what)];
    if matches!(act.op, BelongingOp::Attach | BelongingOp::Detach) {
        out.push(say(format!(
            "Make sure first that it is the right {kind}, and where it is now."
        )));
    }
    out
}

fn mode(file: &WriteFile) -> String {
    format!("{:04o}", file.mode.unwrap_or(0o644))
}

fn write_file(file: &WriteFile) -> Vec<Piece> {
    let path = shell_word(&file.path);
    let mut lines = String::new();
    if file.backup {
        let before = shell_word(&format!("{}.overhaul-before", file.path));
        let _ = writeln!(lines, "[ ! -e {path} ] || cp -a -- {path} {before}");
    }
    if file.absent {
        let _ = write!(lines, "rm -f -- {path}");
        return vec![shell(lines)];
    }
    let mode = mode(file);
    match file.content.strip_suffix('\n') {
        Some(content) => {
            let _ = write!(
                lines,
                "install -m {mode} /dev/stdin {path} <<'{END}'\n{content}\n{END}"
            );
        }
        None => {
            let content = shell_word(&file.content);
            let _ = write!(
                lines,
                "printf %s {content} | install -m {mode} /dev/stdin {path}"
            );
        }
    }
    let mut out = vec![shell(lines)];
    if file.mode.is_none() {
        out.push(say("If the file was there before, keep its mode."));
    }
    out
}

fn edit_file(file: &EditFile) -> Vec<Piece> {
    let mut out = Vec::new();
    if file.backup {
        let path = shell_word(&file.path);
        let before = shell_word(&format!("{}.overhaul-before", file.path));
        out.push(shell(format!("cp -a -- {path} {before}")));
    }
    out.push(say(format!("Edit `{}`:", file.path)));
    for edit in &file.edits {
        out.push(say(match edit {
            Edit::Set {
                key,
                value,
                separator,
            } => format!("- the first line of `{key}` becomes `{key}{separator}{value}`, others of it go; without one it is added at the end"),
            Edit::Line { line } => format!("- the line `{line}` stands in it, at the end if it was not there"),
            Edit::Remove { line } => format!("- no line `{line}` stands in it"),
            Edit::Replace { find, with } => format!("- each `{find}` becomes `{with}`"),
        }));
    }
    if let Some(validate) = &file.validate {
        out.push(say(
            "Before the new file takes the old one's place, this must succeed on it:",
        ));
        out.push(shell(words(validate)));
    }
    out
}

/// How a person sees whether something is so.
pub fn measure(measure: &Measure) -> Vec<Piece> {
    match measure {
        Measure::Command(run) => exec(run),
        Measure::Unit { unit, state } => unit_state(unit, *state),
        Measure::Release { os, version } => vec![
            shell("grep -E '^(ID|VERSION_ID)=' /etc/os-release"),
            say(format!("It must show `{os}` and `{version}`.")),
        ],
        Measure::Member(member) => membership(member),
        Measure::PackagesClean => vec![
            shell("dpkg --audit\napt-get check"),
            say("Both must say nothing of packages that are broken or half installed."),
        ],
        Measure::PackagesInstalled { names } => {
            let plain = |name: &String| name.split('=').next().unwrap_or(name).to_owned();
            let asked: Vec<String> = names.iter().map(plain).collect();
            let versions: Vec<&String> = names.iter().filter(|name| name.contains('=')).collect();
            let mut out = vec![
                shell(format!(
                    "dpkg-query -W -f '${{Package}} ${{Status}} ${{Version}}\\n' {}",
                    words(&asked)
                )),
                say("Each must be `install ok installed`."),
            ];
            for version in versions {
                out.push(say(format!("In this version: `{version}`.")));
            }
            out
        }
        Measure::FileIs(file) if file.absent => {
            vec![shell(format!("[ ! -e {} ]", shell_word(&file.path)))]
        }
        Measure::FileIs(file) => vec![say(format!(
            "`{}` is just as this step writes it, with mode {}.",
            file.path,
            mode(file)
        ))],
        Measure::FileEdited(file) => {
            vec![say(format!("`{}` is as after these edits.", file.path))]
        }
        Measure::Http { url, status } => vec![
            say("From the controller:"),
            shell(format!(
                "curl -sS -o /dev/null -w '%{{http_code}}\\n' {}",
                shell_word(url)
            )),
            say(format!("It must show {status}.")),
        ],
        Measure::Tcp { address } => {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
            vec![
                say("From the controller:"),
                shell(words(&["nc", "-z", "-v", host, port])),
            ]
        }
        Measure::All(parts) => {
            let mut out = vec![say("All of this:")];
            out.extend(parts.iter().flat_map(self::measure));
            out
        }
    }
}

/// The kind's own questions: a person reads the answers.
fn membership(member: &Membership) -> Vec<Piece> {
    let kind = &member.kind;
    let asks = kind.ask.iter().flat_map(|(name, ask)| {
        let asked = match &ask.command {
            Command::Argv(argv) => shell(words(argv)),
            Command::Shell(script) => shell(script.trim_end()),
        };
        [
            say(format!("Of the {} cluster, `{name}`:", kind.name)),
            asked,
        ]
    });
    let conditions = kind.read.quorate.iter().chain(&kind.read.healthy);
    let wanted = conditions.map(|condition| {
        let values: Vec<String> = condition.is.iter().map(|is| format!("`{is}`")).collect();
        let at = &condition.place;
        format!("`{}` of {} must be {}", at.at, at.of, values.join(" or "))
    });
    let wanted: Vec<String> = wanted.collect();
    let mut out: Vec<Piece> = asks.collect();
    out.push(say(format!("{}.", wanted.join("; "))));
    out
}

fn unit_state(unit: &str, state: UnitState) -> Vec<Piece> {
    let unit = shell_word(unit);
    let (ask, wanted) = match state {
        UnitState::Active => ("is-active", "`active`"),
        UnitState::Stopped => ("is-active", "`inactive` or `failed`"),
        UnitState::Held => (
            "is-enabled",
            "`masked`, and `systemctl is-active` must not show `active`",
        ),
        UnitState::Startable => ("is-enabled", "anything but `masked`"),
        UnitState::Enabled => ("is-enabled", "`enabled`"),
        UnitState::Disabled => ("is-enabled", "`disabled`"),
    };
    vec![
        shell(format!("systemctl {ask} {unit}")),
        say(format!("It must show {wanted}.")),
    ]
}

/// A condition that must hold before a step begins.
pub fn test(test: &Test, plan: &Plan) -> Vec<Piece> {
    match test {
        Test::Measure(so) => measure(so),
        Test::Members { service, at_least } => {
            let mut out = vec![say(format!(
                "At least {at_least} other hosts of `{service}` must serve. On each of them:"
            ))];
            match plan.services.get(service).and_then(|s| s.healthy.as_ref()) {
                Some(healthy) => out.extend(measure(healthy)),
                None => out.push(say("(the definition names no way to measure its health)")),
            }
            out
        }
        Test::Donors { service } => vec![say(format!(
            "No other host of `{service}` that works may have a version that feeds no older one (`no_feed` of its kind) while this host has an older one."
        ))],
        Test::Quiet { service } => {
            let unit = plan
                .services
                .get(service)
                .map(|service| service.unit.clone());
            let mut out = vec![say(format!(
                "`{service}` must be stopped on all of its other hosts. On each of them:"
            ))];
            out.extend(unit.into_iter().flat_map(|unit| {
                measure(&Measure::Unit {
                    unit,
                    state: UnitState::Stopped,
                })
            }));
            out
        }
    }
}

/// What takes a step back.
pub fn undo(undo: &Undo) -> Vec<Piece> {
    match undo {
        Undo::Nothing => Vec::new(),
        Undo::By(run) => {
            let mut out = vec![say("To take it back:")];
            out.extend(exec(run));
            out
        }
        Undo::None { way_back } => vec![say(format!(
            "**There is no way back by itself:** {way_back}"
        ))],
    }
}

/// Pieces as Markdown.
pub fn markdown(pieces: &[Piece], out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Say(sentence) => {
                let _ = writeln!(out, "{}\n", text::clean(sentence).trim_end());
            }
            Piece::Shell(commands) => {
                let commands = text::clean(commands);
                let mut fence = "```".to_owned();
                while commands.contains(&fence) {
                    fence.push('`');
                }
                let _ = writeln!(out, "{fence}sh\n{}\n{fence}\n", commands.trim_end());
            }
        }
    }
}
