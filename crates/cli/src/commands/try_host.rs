//! `overhaul try`: one host, nothing but a look.

use crate::args::TryArgs;
use crate::compile::{NO_DATA, checked};
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::kinds::Kinds;
use crate::runs;
use crate::show;
use crate::wiring;
use overhaul_model::facts::FactsWanted;
use overhaul_model::fleet::{Become, Connection, Fleet, Host};
use overhaul_model::kind::{UpgradePath, Upgrader};
use overhaul_plan::print::tree;
use overhaul_source::{SourceFile, definition};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The role of the one host.
const ROLE: &str = "host";

/// Shows facts, plan and findings of one host.
pub async fn try_host(args: &TryArgs, state: Option<&Path>, console: Console) -> Outcome {
    let kinds = Kinds::with(args.kinds.as_deref())?;
    let (upgrader, path) = kinds.way(&args.to)?;
    let fleet = fleet(args)?;
    let text = built_in(upgrader, path);
    let definition = definition::parse(
        &SourceFile::new("built-in definition", text),
        &kinds.upgraders,
    )?;
    let reach = wiring::reach(
        &fleet.name,
        &fleet.hosts,
        BTreeMap::new(),
        &args.hosts,
        Path::new(NO_DATA),
    )?;
    let mut wanted = FactsWanted {
        postgresql: true,
        upgrade: true,
        clusters: kinds.clusters.clone(),
        ..FactsWanted::default()
    };
    if args.depth.thorough {
        wanted.go_deep(Some(path.to_codename.clone()));
    }
    let mut facts = gather::facts(&reach, fleet.hosts.keys(), &wanted).await?;
    gather::none_in_trouble(&facts)?;
    let plan = overhaul_plan::compile(&definition, &fleet, &facts)?;
    let checked = checked(
        &plan,
        &mut facts,
        &BTreeSet::new(),
        &runs::state_dir(state)?,
    );
    if console.json {
        console.out_json(&serde_json::json!({
            "facts": facts,
            "plan": plan,
            "findings": checked.findings,
            "can_run": checked.passed.is_some(),
        }));
    } else {
        console.out(&show::facts::facts(&facts));
        console.out(&format!("\n{}", tree(&plan)));
        console.out(&format!(
            "\n{}",
            show::findings::findings(&checked.findings)
        ));
    }
    console.note(
        "nothing was changed on the host but the helper's own folder; services and data \
         are named in a definition: overhaul plan",
    );
    Ok(if checked.passed.is_some() {
        Exit::Ok
    } else {
        Exit::Findings
    })
}

fn built_in(upgrader: &Upgrader, path: &UpgradePath) -> String {
    format!(
        "upgrade: try\n\
         from: {{os: {}, release: \"{}\"}}\n\
         to: {{os: {}, release: \"{}\"}}\n\
         roles:\n  {ROLE}: {{strategy: in-place, upgrader: {}}}\n",
        path.from.os, path.from.release, path.to.os, path.to.release, upgrader.name
    )
}

fn fleet(args: &TryArgs) -> Result<Fleet, Failure> {
    let (user, address, port) = target(&args.target)?;
    let files = |paths: &[std::path::PathBuf]| {
        let absolute =
            |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or(path.clone());
        paths
            .iter()
            .map(|path| absolute(path).display().to_string())
            .collect()
    };
    let host = Host {
        name: address.as_str().into(),
        roles: [ROLE.into()].into(),
        zone: None,
        connection: Connection {
            port,
            user,
            identity_files: files(&args.identity),
            known_hosts: files(&args.known_hosts),
            become_user: if args.sudo {
                Become::Sudo {
                    user: "root".to_owned(),
                }
            } else {
                Become::No
            },
            ..Connection::to(address.clone())
        },
        vars: BTreeMap::new(),
    };
    Ok(Fleet {
        name: "try".to_owned(),
        hosts: [(host.name.clone(), host)].into(),
    })
}

/// `[USER@]ADDRESS[:PORT]`, an IPv6 address with a port in brackets.
fn target(text: &str) -> Result<(Option<String>, String, Option<u16>), Failure> {
    let wrong = || {
        Failure::input(format!(
            "`{text}` is not a host; one is written [USER@]ADDRESS[:PORT]"
        ))
    };
    let (user, place) = match text.rsplit_once('@') {
        Some(("", _)) => return Err(wrong()),
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, text),
    };
    let (address, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
            (address, port.strip_prefix(':'))
        }
        None if place.matches(':').count() == 1 => match place.split_once(':') {
            Some((address, port)) => (address, Some(port)),
            None => (place, None),
        },
        None => (place, None),
    };
    let port = port
        .map(|port| port.parse().map_err(|_| wrong()))
        .transpose()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if address.is_empty() || !address.chars().all(plain) || address.starts_with('-') {
        return Err(wrong());
    }
    Ok((user, address.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_people_write_them() {
        let seen = |text: &str| {
            target(text).map(|(user, address, port)| {
                let port = port.map_or("-".to_owned(), |port| port.to_string());
                format!(
                    "{} {address} {port}",
                    user.unwrap_or_else(|| "-".to_owned())
                )
            })
        };
        for (text, expected) in [
            ("root@db1", "root db1 -"),
            ("db1.example.org:2222", "- db1.example.org 2222"),
            ("ada@[2001:db8::1]:22", "ada 2001:db8::1 22"),
            ("2001:db8::1", "- 2001:db8::1 -"),
        ] {
            assert_eq!(seen(text).unwrap(), expected);
        }
        for text in [
            "",
            "@db1",
            "db1:no",
            "db1:99999",
            "-oProxyCommand=x",
            "a b",
            "[::1",
        ] {
            assert_eq!(seen(text).unwrap_err().exit, Exit::BadInput, "{text}");
        }
    }
}
