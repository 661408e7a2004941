//! A workflow's definition with the lab as its provider of machines: the line of the provider is the only one that differs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::{LabError, Named, Result, malformed};
use super::instance::Instance;
use super::paths;

/// The line that a workflow names its provider in.
const PROVIDER: &str = "  machines: ";

/// The role of hosts that are no machines until the provider launches one.
const SPARE: &str = "spare";

/// Writes the definition into the instance's folder.
///
/// # Errors
/// When the file cannot be read or written.
pub fn write(instance: &Instance, file: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(file).named(file)?;
    let program = std::env::current_exe().map_err(|source| LabError::Start {
        program: "xtask".into(),
        source,
    })?;
    let checkout = paths::checkout();
    let addresses: BTreeMap<String, String> = instance
        .moving_addresses()
        .map(|(name, address)| (name.to_owned(), address.to_string()))
        .collect();
    let provider = json!({
        "script": checkout.join("lab/provider"),
        "config": {
            "xtask": program, "folder": checkout, "id": instance.id.as_str(),
            "cache": paths::cache()?, "dir": instance.folder(),
            "spares": of_role(instance, true), "hosts": of_role(instance, false),
            "addresses": addresses,
        },
    });
    let text = with_provider(&text, &provider.to_string())
        .map_err(|why| malformed(file.display().to_string(), why))?;
    let path = instance.file("upgrade.yaml");
    paths::write_private(&path, text.as_bytes())?;
    Ok(path)
}

/// Hosts that are no machines until the provider launches one, or all others.
fn of_role(instance: &Instance, spare: bool) -> Vec<&str> {
    let hosts = instance.hosts.iter();
    hosts
        .filter(|(_, record)| record.spec.roles.iter().any(|role| role == SPARE) == spare)
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The definition with another provider, which JSON writes as YAML takes it.
fn with_provider(text: &str, provider: &str) -> std::result::Result<String, String> {
    let (mut out, mut count) = (String::new(), 0);
    for line in text.lines() {
        if line.starts_with(PROVIDER) {
            count += 1;
            out.push_str(PROVIDER);
            out.push_str(provider);
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    match count {
        // A workflow without machines to make needs none.
        0 | 1 => Ok(out),
        _ => Err(format!("{count} lines begin with `{PROVIDER}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_alone_is_another_one() {
        let text = "providers:\n  machines: {script: /x}\nroles: {}\n";
        assert_eq!(
            with_provider(text, "{}").unwrap(),
            "providers:\n  machines: {}\nroles: {}\n"
        );
        assert_eq!(with_provider("roles: {}\n", "{}").unwrap(), "roles: {}\n");
        assert!(with_provider(&format!("{text}{text}"), "{}").is_err());
    }
}
