//! Image layers: a base tree by mmdebstrap, and overlays with more packages. Each is kept under a digest of everything that went into it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::say::say;

use super::command::{bounded_with_us, output_of};
use super::error::{LabError, Named, Result};
use super::mirror::Front;
use super::paths;
use super::sources::{self, HOSTS_MIRROR, Mirror};

/// A cold base tree took 21 s and a layer 15 s on two cores; a slow mirror may take ten times that.
const BUILD_S_MAX: u64 = 600;
/// Changing how images are built makes all kept ones stale.
const RECIPE: &str = "1";

/// The image cache of this machine.
#[derive(Debug)]
pub struct Images {
    folder: PathBuf,
    data: PathBuf,
    mirror: Mirror,
}

impl Images {
    /// Opens the cache.
    pub fn open() -> Result<Self> {
        let folder = paths::cache()?.join("images");
        paths::make_private_folder(&folder)?;
        Ok(Self {
            folder,
            data: paths::data(),
            mirror: sources::of_this_machine()?,
        })
    }

    /// Removes everything, so that the next build is a cold one; refused while an instance stands on these images.
    pub fn empty(&self) -> Result<()> {
        let _lock = paths::lock(&self.folder.join("lock"))?;
        let instances = paths::cache()?.join("instances");
        let in_use = fs::read_dir(&instances).is_ok_and(|mut entries| entries.next().is_some());
        if in_use {
            return Err(LabError::State(format!(
                "{} holds instances that stand on these images: take them down first",
                instances.display()
            )));
        }
        for entry in fs::read_dir(&self.folder).named(&self.folder)? {
            let path = entry.named(&self.folder)?.path();
            if path.is_dir() {
                paths::remove_tree(&path)?;
            }
        }
        paths::remove_tree(&mirror_folder()?)
    }

    /// Makes the layers that are lacking and returns the trees for an overlay, the topmost first.
    pub fn ensure(&self, release: &str, layers: &[String]) -> Result<Vec<PathBuf>> {
        let _lock = paths::lock(&self.folder.join("lock"))?;
        let mut lowers: Vec<PathBuf> = Vec::new();
        let mut digest = String::new();
        for layer in layers {
            digest = self.digest(&digest, release, layer)?;
            let short: String = digest.chars().take(16).collect();
            let home = self.folder.join(format!("{release}-{layer}-{short}"));
            if !home.exists() {
                self.build(release, layer, &home, &lowers)?;
            }
            lowers.insert(0, home.join("tree"));
        }
        Ok(lowers)
    }

    /// Runs the download of an upgrade to the next release in a throw-away tree; only the mirror's cache keeps anything.
    pub fn warm_upgrade(&self, lowers: &[PathBuf]) -> Result<()> {
        let _lock = paths::lock(&self.folder.join("lock"))?;
        let work = tempfile::Builder::new()
            .prefix(".warm-")
            .tempdir_in(&self.folder)
            .named(&self.folder)?;
        let script = self.data.join("images/warm-upgrade.sh");
        output_of(&mut self.in_tree(lowers, work.path(), &[script])?)?;
        Ok(())
    }

    fn recipe_file(&self, layer: &str, name: &str) -> PathBuf {
        self.data.join("images").join(layer).join(name)
    }

    fn digest(&self, below: &str, release: &str, layer: &str) -> Result<String> {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        add(RECIPE.as_bytes());
        add(below.as_bytes());
        add(release.as_bytes());
        add(format!("{:?}", self.mirror).as_bytes());
        let files = [
            self.recipe_file(layer, "packages"),
            self.recipe_file(layer, "setup.sh"),
            self.data.join("images/install-packages.sh"),
        ];
        for path in files {
            add(&fs::read(&path).named(&path)?);
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Builds beside its place and moves it there in one step; what a killed build left is removed first.
    fn build(&self, release: &str, layer: &str, home: &Path, lowers: &[PathBuf]) -> Result<()> {
        let began = Instant::now();
        say(format_args!("building {release} {layer}"));
        let building = self.folder.join("building");
        paths::remove_tree(&building)?;
        paths::make_private_folder(&building)?;
        if lowers.is_empty() {
            output_of(&mut self.base_command(release, layer, &building.join("tree"))?)?;
        } else {
            let scripts = [
                self.data.join("images/install-packages.sh"),
                self.recipe_file(layer, "setup.sh"),
            ];
            let mut command = self.in_tree(lowers, &building, &scripts)?;
            output_of(command.env("LAB_PACKAGES", self.packages(layer)?.join(" ")))?;
        }
        fs::rename(&building, home).named(home)?;
        say(format_args!(
            "built {release} {layer} in {:.1} s",
            began.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    fn packages(&self, layer: &str) -> Result<Vec<String>> {
        let path = self.recipe_file(layer, "packages");
        let text = fs::read_to_string(&path).named(&path)?;
        Ok(package_names(&text))
    }

    fn proxy(&self) -> Result<String> {
        let port = Front::new(mirror_folder()?, &self.mirror).serve_here()?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    fn base_command(&self, release: &str, layer: &str, tree: &Path) -> Result<Command> {
        let mut command = bounded_with_us(BUILD_S_MAX, "mmdebstrap");
        command
            .args([
                "--quiet",
                "--mode=root",
                "--variant=minbase",
                "--skip=cleanup/apt/lists",
            ])
            .arg(format!("--include={}", self.packages(layer)?.join(",")))
            .arg(format!("--keyring={}", self.mirror.keyring.display()))
            .arg(format!(
                "--aptopt=Acquire::http::Proxy \"{}\"",
                self.proxy()?
            ))
            .arg("--dpkgopt=force-unsafe-io")
            .arg("--customize-hook=chroot \"$1\" sh -eus <\"$LAB_SETUP\"")
            .arg(release)
            .arg(tree)
            .env("LAB_SETUP", self.recipe_file(layer, "setup.sh"))
            .env("LANG", "C.UTF-8");
        for (folder, suite) in self.mirror.suites(release) {
            command.arg(format!("deb {HOSTS_MIRROR}/{folder} {suite} main"));
        }
        Ok(command)
    }

    fn in_tree(&self, lowers: &[PathBuf], home: &Path, scripts: &[PathBuf]) -> Result<Command> {
        let mut command = in_tree(BUILD_S_MAX, lowers, home, scripts)?;
        command.env("LAB_PROXY", self.proxy()?);
        Ok(command)
    }
}

/// Where everything that went through the mirror is kept.
pub fn mirror_folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join("mirror"))
}

/// A command that runs scripts inside an overlay over `lowers`, whose own part is `home/tree`.
pub fn in_tree(
    bound_s: u64,
    lowers: &[PathBuf],
    home: &Path,
    scripts: &[PathBuf],
) -> Result<Command> {
    for name in ["tree", "work", "root"] {
        let path = home.join(name);
        fs::create_dir_all(&path).named(&path)?;
    }
    let mut command = bounded_with_us(bound_s, "sh");
    command
        .arg(paths::data().join("in-tree.sh"))
        .arg(lower_option(lowers))
        .args(["tree", "work", "root"].map(|name| home.join(name)))
        .args(scripts);
    // A build must not depend on what this machine happens to have set.
    for (name, _) in env::vars_os() {
        if name != "PATH" {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// The value of overlay's `lowerdir` option.
pub fn lower_option(lowers: &[PathBuf]) -> String {
    let parts: Vec<String> = lowers
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    parts.join(":")
}

fn package_names(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(folder: &Path, archive: &str) -> Images {
        Images {
            folder: folder.to_path_buf(),
            data: paths::data(),
            mirror: Mirror {
                archive: archive.into(),
                security: None,
                updates: false,
                keyring: "/k".into(),
            },
        }
    }

    #[test]
    fn the_digest_follows_every_input() {
        let one = images(Path::new("/x"), "http://a.example");
        let two = images(Path::new("/x"), "http://b.example");
        let same = one.digest("", "bookworm", "base").unwrap();
        assert_eq!(same, one.digest("", "bookworm", "base").unwrap());
        for other in [
            two.digest("", "bookworm", "base"),
            one.digest("x", "bookworm", "base"),
            one.digest("", "trixie", "base"),
            one.digest("", "bookworm", "db"),
        ] {
            assert_ne!(same, other.unwrap());
        }
        assert!(one.digest("", "bookworm", "no-such-layer").is_err());
    }

    #[test]
    fn package_lists_may_have_remarks() {
        assert_eq!(package_names("# why\na\n\nb-c # and this\n"), ["a", "b-c"]);
    }

    #[test]
    fn hosts_come_without_python() {
        for layer in ["base", "db"] {
            let names = images(Path::new("/x"), "http://a.example")
                .packages(layer)
                .unwrap();
            assert!(
                names.iter().all(|name| !name.contains("python")),
                "{names:?}"
            );
        }
    }
}
