//! PostgreSQL clusters and databases, as Debian's own tools tell of them.

use super::measured::known;
use crate::process::{plain, run_bounded};
use overhaul_model::facts::{
    Known, PostgresCluster, PostgresDatabase, PostgresExtension, PostgresReplication, PostgresSlot,
    PostgresStandby,
};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// Longest that one of the tools may take; sizes of large databases are summed over many files.
const TOOL_S_MAX: u64 = 20;

/// Output of a tool that is read.
const TOOL_BYTES_MAX: u64 = 256 * 1024;

/// Most clusters whose databases are listed.
const CLUSTERS_MAX: usize = 32;

/// The tool that lists clusters, and the folder in which it looks for them: `VERSION/NAME`.
const LISTER: &str = "/usr/bin/pg_lsclusters";
const CONFIGURED: &str = "/etc/postgresql";

/// Most databases of a cluster whose extensions are asked for: each takes a connection.
const DATABASES_MAX: usize = 20;

/// Names and sizes, apart by a byte that no name holds unquoted by psql.
const DATABASES: &str = "select datname || chr(9) || pg_database_size(oid) from pg_database \
                         where not datistemplate order by datname";

/// Rows of several kinds, each with its kind first.
const REPLICATION: [&str; 4] = [
    "select 'recovery', pg_is_in_recovery(), \
     (extract(epoch from now() - pg_last_xact_replay_timestamp()) * 1000)::bigint",
    "select 'upstream', sender_host || ':' || sender_port from pg_stat_wal_receiver",
    "select 'standby', application_name, coalesce(host(client_addr), ''), coalesce(state, ''), \
     coalesce(sync_state, ''), pg_wal_lsn_diff(case when pg_is_in_recovery() \
     then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end, replay_lsn)::bigint \
     from pg_stat_replication order by application_name",
    "select 'slot', slot_name, slot_type, active, pg_wal_lsn_diff(case when pg_is_in_recovery() \
     then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end, restart_lsn)::bigint \
     from pg_replication_slots order by slot_name",
];

const EXTENSIONS: &str = "select extname, extversion from pg_extension order by extname";

/// The clusters of this host.
///
/// # Errors
/// When the tools are not there or do not answer.
pub(super) fn clusters() -> Result<Vec<PostgresCluster>, String> {
    // Perl's start is most of what the facts of a host without clusters would cost.
    if Path::new(LISTER).exists() && !any_configured(Path::new(CONFIGURED)) {
        return Ok(Vec::new());
    }
    let listed = tool("pg_lsclusters", &["-h"])?;
    let mut found = parse_clusters(&listed)?;
    if found.len() > CLUSTERS_MAX {
        return Err(format!("more than {CLUSTERS_MAX} clusters"));
    }
    for (cluster, owner) in &mut found {
        if cluster.online {
            ask(cluster, owner)
                .map_err(|why| format!("cluster {}/{}: {why}", cluster.version, cluster.name))?;
        }
    }
    Ok(found.into_iter().map(|(cluster, _)| cluster).collect())
}

/// Whether there is anything at all at the depth of a cluster. What cannot be read may be one.
fn any_configured(root: &Path) -> bool {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    entries.into_iter().any(|version| match version {
        Ok(version) => fs::read_dir(version.path()).map_or_else(
            |error| error.kind() != io::ErrorKind::NotADirectory,
            |mut names| names.next().is_some(),
        ),
        Err(_) => true,
    })
}

fn ask(cluster: &mut PostgresCluster, owner: &str) -> Result<(), String> {
    let server = Server {
        port: cluster.port.to_string(),
        owner,
    };
    cluster.databases = parse_databases(&server.query("postgres", &[DATABASES])?)?;
    let rows = server.query("postgres", &REPLICATION);
    cluster.replication = known(rows.and_then(|rows| parse_replication(&rows)));
    for (database, number) in cluster.databases.iter_mut().zip(1_usize..) {
        database.extensions = if number > DATABASES_MAX {
            Known::unknown("asked of the first databases only")
        } else {
            let rows = server.query(&database.name, &[EXTENSIONS]);
            known(rows.and_then(|rows| parse_extensions(&rows)))
        };
    }
    Ok(())
}

/// A server that answers its owner.
struct Server<'a> {
    port: String,
    owner: &'a str,
}

impl Server<'_> {
    /// Rows of tab-separated fields.
    fn query(&self, database: &str, queries: &[&str]) -> Result<String, String> {
        // A name is not a connection string, whatever it looks like.
        let database = format!(
            "dbname='{}'",
            database.replace('\\', "\\\\").replace('\'', "\\'")
        );
        let mut psql = vec![
            "psql", "-XAtq", "-F", "\t", "-p", &self.port, "-d", &database,
        ];
        for query in queries {
            psql.extend(["-c", query]);
        }
        if rustix::process::geteuid().is_root() {
            let as_owner = ["-u", self.owner, "--"];
            return tool("runuser", &[as_owner.as_slice(), psql.as_slice()].concat());
        }
        match psql.as_slice() {
            [program, arguments @ ..] => tool(program, arguments),
            [] => Err("nothing to run".to_owned()),
        }
    }
}

fn tool<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<String, String> {
    let command = plain(program, arguments);
    let done = run_bounded(command, Duration::from_secs(TOOL_S_MAX), TOOL_BYTES_MAX)
        .map_err(|gone| format!("{program}: {gone}"))?;
    if !done.status.success() || done.cut {
        return Err(format!("{program}: {} ({})", done.last_line(), done.status));
    }
    Ok(String::from_utf8_lossy(&done.out).into_owned())
}

/// Clusters, each with the account that it runs under.
pub(super) fn parse_clusters(text: &str) -> Result<Vec<(PostgresCluster, String)>, String> {
    let cluster = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let status = fields.get(3)?;
        let owner = fields.get(4)?;
        (!owner.starts_with('-')).then_some(())?;
        let cluster = PostgresCluster {
            version: (*fields.first()?).to_owned(),
            name: (*fields.get(1)?).to_owned(),
            port: fields.get(2)?.parse().ok()?,
            online: status.split(',').any(|word| word == "online"),
            data_dir: (*fields.get(5)?).to_owned(),
            ..PostgresCluster::default()
        };
        Some((cluster, (*owner).to_owned()))
    };
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| cluster(line).ok_or_else(|| format!("pg_lsclusters printed {line:?}")))
        .collect()
}

pub(super) fn parse_databases(text: &str) -> Result<Vec<PostgresDatabase>, String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.rsplit_once('\t')
                .and_then(|(name, size)| {
                    Some(PostgresDatabase {
                        name: name.to_owned(),
                        size_bytes: size.parse().ok()?,
                        extensions: Known::not_asked(),
                    })
                })
                .ok_or_else(|| format!("psql printed {line:?}"))
        })
        .collect()
}

pub(super) fn parse_extensions(text: &str) -> Result<Vec<PostgresExtension>, String> {
    let extension = |line: &str| {
        let (name, version) = line
            .split_once('\t')
            .ok_or_else(|| format!("psql printed {line:?}"))?;
        Ok(PostgresExtension {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    };
    text.lines()
        .filter(|line| !line.is_empty())
        .map(extension)
        .collect()
}

pub(super) fn parse_replication(text: &str) -> Result<PostgresReplication, String> {
    let mut in_recovery = None;
    let mut found = PostgresReplication {
        in_recovery: false,
        replay_age_ms: None,
        upstream: None,
        standbys: Vec::new(),
        slots: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        // A figure that went below zero between two looks is zero.
        let figure = |text: &str| {
            text.parse::<i64>()
                .ok()
                .map(|n| u64::try_from(n).unwrap_or(0))
        };
        match fields.as_slice() {
            ["recovery", is @ ("t" | "f"), age] => {
                in_recovery = Some(*is == "t");
                found.replay_age_ms = figure(age);
            }
            ["upstream", address] => found.upstream = Some((*address).to_owned()),
            ["standby", name, address, state, sync_state, lag] => {
                found.standbys.push(PostgresStandby {
                    name: (*name).to_owned(),
                    address: (*address).to_owned(),
                    state: (*state).to_owned(),
                    sync_state: (*sync_state).to_owned(),
                    lag_bytes: figure(lag),
                });
            }
            ["slot", name, kind, active, retained] => found.slots.push(PostgresSlot {
                name: (*name).to_owned(),
                kind: (*kind).to_owned(),
                active: *active == "t",
                retained_bytes: figure(retained),
            }),
            _ => return Err(format!("psql printed {line:?}")),
        }
    }
    found.in_recovery = in_recovery.ok_or("psql did not say whether it is a standby")?;
    if !found.in_recovery {
        // It keeps the time of its last recovery.
        found.replay_age_ms = None;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_folder_of_a_version_can_hold_a_cluster() {
        let root = tempfile::tempdir().unwrap();
        assert!(!any_configured(&root.path().join("absent")));
        assert!(!any_configured(root.path()));
        fs::write(root.path().join("note"), "").unwrap();
        fs::create_dir(root.path().join("15")).unwrap();
        assert!(!any_configured(root.path()));
        fs::create_dir(root.path().join("15/main")).unwrap();
        assert!(any_configured(root.path()));
    }

    #[test]
    fn recorded_clusters_are_read() {
        let text = "\
15  main    5432 online          postgres /var/lib/postgresql/15/main /var/log/postgresql/x.log
13  old     5433 down            postgres /var/lib/postgresql/13/old  /var/log/postgresql/y.log
15  standby 5434 online,recovery ada      /srv/pg                     custom
";
        let read: Vec<String> = parse_clusters(text)
            .unwrap()
            .into_iter()
            .map(|(c, owner)| {
                format!(
                    "{} {} {} {} {owner} {}",
                    c.version, c.name, c.port, c.online, c.data_dir
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                "15 main 5432 true postgres /var/lib/postgresql/15/main",
                "13 old 5433 false postgres /var/lib/postgresql/13/old",
                "15 standby 5434 true ada /srv/pg",
            ]
        );
        assert!(parse_clusters("").unwrap().is_empty());
        for broken in [
            "15 main",
            "15 main x online postgres /d l",
            "15 main 1 online -u /d l",
        ] {
            assert!(parse_clusters(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn recorded_databases_are_read() {
        let read = parse_databases("orders\t209715200\npost gres\t7500000\n").unwrap();
        let words: Vec<String> = read
            .iter()
            .map(|d| format!("{}={}", d.name, d.size_bytes))
            .collect();
        assert_eq!(words, ["orders=209715200", "post gres=7500000"]);
        assert!(parse_databases("orders\n").is_err());
    }
    #[test]
    fn recorded_replication_is_read() {
        let primary = "recovery\tf\t12\nstandby\tdb2\t10.0.0.6\tstreaming\tasync\t4096\nstandby\told\t\tcatchup\tasync\t\nslot\tdb2\tphysical\tt\t-5\n";
        let standby = "recovery\tt\t2500\nupstream\t10.0.0.5:5432\n";
        insta::assert_json_snapshot!((
            parse_replication(primary).unwrap(),
            parse_replication(standby).unwrap(),
        ));
        for broken in ["", "recovery\tx\t\n", "slot\ta\n"] {
            assert!(parse_replication(broken).is_err(), "{broken}");
        }
        let read = parse_extensions("plpgsql\t1.0\npostgis\t3.3.2\n").unwrap();
        assert_eq!(read.len(), 2);
        assert!(parse_extensions("x\n").is_err());
    }

    proptest! {
        #[test]
        fn any_output_is_read_or_refused(text in "(recovery|standby|slot|upstream|\t|t|[0-9]|\n){0,60}") {
            let _read = (
                parse_replication(&text),
                parse_extensions(&text),
                parse_databases(&text),
                parse_clusters(&text),
            );
        }
    }
}
