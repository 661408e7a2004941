//! A PostgreSQL database with known rows, and a digest by which they are known again after an upgrade.

use super::error::{LabError, Result};
use super::instance::Instance;
use super::ssh;

/// 200 MB were written in 10 s on two cores.
const LOAD_S_MAX: u64 = 900;
/// Reading them is several times faster.
const DIGEST_S_MAX: u64 = 600;
/// Rows of `orders` to a megabyte on disk, measured with the table's own size.
const ROWS_PER_MB: u64 = 4_900;
/// A lab disk has room for a few times this: dump, old and new cluster.
const MB_MAX: u64 = 10_000;

/// The shell line that prints the digest of all rows in order; the settings fix how values are written.
pub const DIGEST_LINE: &str = "cd / && runuser -u postgres -- env PGTZ=UTC PGDATESTYLE=ISO psql -X -q -v ON_ERROR_STOP=1 -d shop \
    -c 'copy (select * from orders order by id) to stdout' | sha256sum | cut -d' ' -f1";

/// The rows follow from their number alone, so that two loads of one size are equal anywhere.
fn load_script(megabytes: u64) -> String {
    let rows = megabytes * ROWS_PER_MB;
    format!(
        "\\set ON_ERROR_STOP on
select 'create role shop login' where not exists (select from pg_roles where rolname = 'shop') \\gexec
drop database if exists shop with (force);
create database shop owner shop;
\\connect shop
set role shop;
create table orders (
    id bigint not null, customer integer not null, placed timestamptz not null, total numeric(10, 2) not null,
    state text not null, note text not null);
insert into orders
    select n, (n * 7919) % 100003, timestamptz '2020-01-01 00:00:00+00' + n * interval '37 seconds', (n * 31 % 1000000) / 100.0,
        (array['new', 'paid', 'sent', 'returned'])[1 + n % 4], md5(n::text) || md5((n * 3)::text) || md5((n * 5)::text) || md5((n * 7)::text)
    from generate_series(1::bigint, {rows}) as n;
alter table orders add primary key (id);
create index orders_customer on orders (customer);
create view open_orders as select * from orders where state in ('new', 'paid');
analyze orders;
reset role;
checkpoint;
select pg_size_pretty(pg_database_size('shop'));
"
    )
}

/// Fills the database `shop` of a host anew; returns its size as the server says it.
pub fn load(instance: &Instance, host: &str, megabytes: u64) -> Result<String> {
    if !(1..=MB_MAX).contains(&megabytes) {
        return Err(LabError::State(format!(
            "1 to {MB_MAX} megabytes are possible"
        )));
    }
    let line = "cd / && runuser -u postgres -- psql -X -q -A -t -f -";
    let said = ssh::run_with_input(instance, host, LOAD_S_MAX, line, &load_script(megabytes))?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

/// The digest of all rows.
pub fn digest(instance: &Instance, host: &str) -> Result<String> {
    // Without pipefail a failed query would give the digest of nothing.
    let line = format!("bash -o pipefail -c {}", quoted(DIGEST_LINE));
    Ok(ssh::run(instance, host, DIGEST_S_MAX, &line)?
        .trim()
        .to_owned())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_the_size() {
        assert!(load_script(200).contains("generate_series(1::bigint, 980000)"));
    }

    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(quoted("a 'b' c"), "'a '\\''b'\\'' c'");
    }
}
