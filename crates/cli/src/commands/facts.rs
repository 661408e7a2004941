//! `overhaul facts`: what is known of the hosts of a fleet, asked now or kept from before.

use crate::args::FactsArgs;
use crate::compile::NO_DATA;
use crate::console::Console;
use crate::exit::Exit;
use crate::facts_cache::{Entry, FactsCache, Trouble};
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::inputs;
use crate::kinds::Kinds;
use crate::runs;
use crate::show::fleet_facts::{self, Row};
use crate::text;
use crate::wiring;
use jiff::Timestamp;
use overhaul_model::facts::FactsWanted;
use overhaul_model::fleet::Host;
use overhaul_model::id::HostName;
use overhaul_model::span::Span;
use overhaul_source::FleetInput;
use overhaul_source::fleet::pattern::Pattern;
use std::collections::BTreeMap;
use std::path::Path;

/// Facts that are kept count as old after so long, when nobody says otherwise: a day's work changes hosts.
const STALE_S: u64 = 24 * 60 * 60;

/// Largest file of a limit.
const LIMIT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Gathers facts, or takes kept ones, and shows them.
pub async fn facts(args: &FactsArgs, state: Option<&Path>, console: Console) -> Outcome {
    let input = inputs::fleet_alone(&args.fleet)?;
    let hosts = chosen(args, &input)?;
    let wanted = wanted(args)?;
    let mut cache = FactsCache::read(&runs::state_dir(state)?, &input.fleet.name)?;
    if let Some(damage) = &cache.damage {
        console.note(&format!(
            "warning: a part of the kept facts cannot be read: {damage}"
        ));
    }
    let began = Timestamp::now();
    let asked = if args.offline {
        BTreeMap::new()
    } else {
        let asked = to_ask(args, &hosts, &wanted, &cache, began);
        ask(args, &input, &asked, &wanted, &mut cache, console).await?;
        asked
    };
    let stale_after = args.cached.unwrap_or(Span::from_s(STALE_S));
    let now = Timestamp::now();
    let rows: Vec<Row<'_>> = hosts
        .keys()
        .map(|host| {
            let entry = cache.entries.get(host);
            Row::of(host, entry, asked.contains_key(host), now, stale_after)
        })
        .collect();
    show(args, &input.fleet.name, &rows, console);
    let in_trouble = |host| {
        cache
            .entries
            .get(host)
            .is_some_and(|entry: &Entry| entry.trouble.is_some())
    };
    Ok(if asked.keys().any(in_trouble) {
        Exit::HostTrouble
    } else {
        Exit::Ok
    })
}

fn show(args: &FactsArgs, fleet: &str, rows: &[Row<'_>], console: Console) {
    if console.json {
        console.out_json(&fleet_facts::json(fleet, rows));
    } else if args.host.is_some() {
        for row in rows {
            console.out(&fleet_facts::page(row));
        }
    } else {
        console.out(&fleet_facts::table(rows));
    }
}

/// A look at a whole fleet asks what costs a host milliseconds; what an upgrade asks about costs it some
/// tenths of a second, and is asked of one host, or by name.
fn wanted(args: &FactsArgs) -> Result<FactsWanted, Failure> {
    let kinds = Kinds::with(args.kinds.as_deref())?;
    let mut wanted = FactsWanted {
        postgresql: true,
        upgrade: args.upgrade || args.host.is_some() || args.depth.thorough,
        stored: args.stored,
        ..FactsWanted::default()
    };
    if args.depth.thorough {
        let way = args.to.as_deref().map(|to| kinds.way(to)).transpose()?;
        wanted.go_deep(way.map(|(_, path)| path.to_codename.clone()));
    }
    wanted.clusters = kinds.clusters;
    Ok(wanted)
}

fn chosen(args: &FactsArgs, input: &FleetInput) -> Result<BTreeMap<HostName, Host>, Failure> {
    let all = &input.fleet.hosts;
    let mut hosts = match &args.limit {
        None => all.clone(),
        Some(limit) => {
            let selection = Pattern::parse_limit(limit, read_limit)
                .and_then(|pattern| pattern.limit(&input.membership))
                .map_err(|error| Failure::input(format!("--limit: {error}")))?;
            let named = selection.hosts.into_iter().map(HostName::new);
            named
                .filter_map(|name| all.get_key_value(&name))
                .map(|(name, host)| (name.clone(), host.clone()))
                .collect()
        }
    };
    if let Some(only) = &args.host {
        let only = HostName::new(only.clone());
        let host = hosts.remove(&only).ok_or_else(|| {
            Failure::input(format!(
                "{only}: no such host in the fleet {}",
                input.fleet.name
            ))
            .hint("`overhaul facts --fleet FILE` lists them")
        })?;
        hosts = [(only, host)].into();
    }
    Ok(hosts)
}

/// The text of a file that a limit names with `@FILE`.
pub fn read_limit(path: &str) -> Result<String, String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LIMIT_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    Ok(text)
}

/// The hosts of which nothing is kept that serves.
fn to_ask(
    args: &FactsArgs,
    hosts: &BTreeMap<HostName, Host>,
    wanted: &FactsWanted,
    cache: &FactsCache,
    now: Timestamp,
) -> BTreeMap<HostName, Host> {
    let Some(max_age) = args.cached else {
        return hosts.clone();
    };
    let span =
        jiff::SignedDuration::try_from(max_age.as_duration()).unwrap_or(jiff::SignedDuration::MAX);
    let not_before = now.checked_sub(span).unwrap_or(Timestamp::MIN);
    let serves = |host: &HostName| {
        (cache.entries.get(host)).is_some_and(|entry| entry.serves(wanted, not_before))
    };
    let lacking = hosts.iter().filter(|(host, _)| !serves(host));
    lacking
        .map(|(name, host)| (name.clone(), host.clone()))
        .collect()
}

/// Asks these hosts and keeps their answers, also when only some have come by the time of a Ctrl-C.
async fn ask(
    args: &FactsArgs,
    input: &FleetInput,
    hosts: &BTreeMap<HostName, Host>,
    wanted: &FactsWanted,
    cache: &mut FactsCache,
    console: Console,
) -> Result<(), Failure> {
    if hosts.is_empty() {
        return Ok(());
    }
    let reach = wiring::reach(
        &input.fleet.name,
        hosts,
        input.passwords.clone(),
        &args.hosts,
        Path::new(NO_DATA),
    )?;
    let mut count = gather::Count::new(hosts.len(), console);
    let gathering = gather::each(&reach, hosts.keys(), wanted, |host, facts| {
        let answer = match gather::trouble(&facts) {
            Some(why) => Err(Trouble {
                at: facts.gathered_at,
                why: why.to_owned(),
            }),
            None => Ok(facts),
        };
        count.one(answer.is_err());
        cache.note(&host, wanted, answer);
    });
    let left = tokio::select! {
        done = gathering => done.map(|()| false)?,
        _ = tokio::signal::ctrl_c() => true,
    };
    count.end();
    cache.write()?;
    if left {
        let kept = text::count(cache.entries.len(), "host");
        return Err(
            Failure::new(Exit::Left, "stopped before all hosts had answered").hint(format!(
                "what is known of {kept} is kept: --offline shows it"
            )),
        );
    }
    Ok(())
}
