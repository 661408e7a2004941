//! PostgreSQL clusters and databases, as Debian's own tools tell of them.

use crate::process::{plain, run_bounded};
use overhaul_model::facts::{Known, PostgresCluster, PostgresDatabase};
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

/// Names and sizes, apart by a byte that no name holds unquoted by psql.
const QUERY: &str = "select datname || chr(9) || pg_database_size(oid) from pg_database \
                     where not datistemplate order by datname";

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
            cluster.databases = databases(cluster.port, owner)
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

fn databases(port: u16, owner: &str) -> Result<Vec<PostgresDatabase>, String> {
    let port = port.to_string();
    let psql = ["psql", "-XAtq", "-p", &port, "-d", "postgres", "-c", QUERY];
    let printed = if rustix::process::geteuid().is_root() {
        let as_owner = ["-u", owner, "--"];
        tool("runuser", &[as_owner.as_slice(), psql.as_slice()].concat())?
    } else {
        let [program, arguments @ ..] = psql;
        tool(program, &arguments)?
    };
    parse_databases(&printed)
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
fn parse_clusters(text: &str) -> Result<Vec<(PostgresCluster, String)>, String> {
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

fn parse_databases(text: &str) -> Result<Vec<PostgresDatabase>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
