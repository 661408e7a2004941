//! What a definition needs of this machine: providers that may be run, playbooks, the program for them.

use crate::failure::Failure;
use overhaul_model::definition::{Definition, Playbook, WrittenAction, WrittenBlock, WrittenStep};
use overhaul_reach::trusted;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The program that runs playbooks.
const ANSIBLE_PLAYBOOK: &str = "ansible-playbook";

/// How much of a fleet's file is looked at to tell whose form it has.
const FORM_BYTES_MAX: u64 = 64 * 1024;

/// Looks up what the definition names here, and puts it in with its absolute path.
///
/// # Errors
/// When a provider may not be run, or a playbook is not there.
pub fn look_up(
    definition: &mut Definition,
    folder: Option<&Path>,
    sources: &[PathBuf],
) -> Result<(), Failure> {
    for (name, provider) in &definition.providers {
        trusted(Path::new(&provider.script)).map_err(|why| {
            Failure::input(format!("provider `{name}`: {}: {why}", provider.script))
                .hint("it must belong to this account or to root, and nobody else may write to it")
        })?;
    }
    // The parent of a bare file name is the empty path, which stands for this folder.
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::path::absolute(folder.unwrap_or(Path::new(".")))
        .map_err(|error| Failure::internal(format!("the definition's folder: {error}")))?;
    let inventory = inventory(sources);
    let mut any = false;
    let mut visit = |step: &mut WrittenStep| {
        let WrittenAction::Ansible(playbook) = &mut step.action else {
            return Ok(());
        };
        any = true;
        settle(playbook, &folder, inventory.as_deref())
            .map_err(|why| Failure::input(format!("{}: step `{}`: {why}", step.origin, step.name)))
    };
    for role in &mut definition.roles {
        let mut blocks = role.slots.values_mut().flatten();
        blocks.try_for_each(|block| each_step(block, &mut visit))?;
    }
    for stage in &mut definition.stage_plan {
        let mut steps = stage.before.iter_mut().chain(&mut stage.after);
        steps.try_for_each(|once| visit(&mut once.step))?;
    }
    if any {
        definition.ansible_playbook = on_path(ANSIBLE_PLAYBOOK);
    }
    Ok(())
}

fn each_step(
    block: &mut WrittenBlock,
    visit: &mut impl FnMut(&mut WrittenStep) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match block {
        WrittenBlock::Step(step) => visit(step),
        WrittenBlock::Scope(scope) => {
            visit(&mut scope.open)?;
            scope
                .body
                .iter_mut()
                .try_for_each(|b| each_step(b, visit))?;
            visit(&mut scope.close)
        }
        WrittenBlock::Repair(repair) => {
            let mut parts = repair.body.iter_mut().chain(&mut repair.remedy);
            parts.try_for_each(|b| each_step(b, visit))
        }
    }
}

fn settle(playbook: &mut Playbook, folder: &Path, inventory: Option<&Path>) -> Result<(), String> {
    let found = |path: &Path| -> Result<String, String> {
        let path = folder.join(path);
        let text = path.to_str().ok_or("its path is not UTF-8")?;
        match path.exists() {
            true => Ok(text.to_owned()),
            false => Err(format!("{text} is not there")),
        }
    };
    playbook.playbook = found(Path::new(&playbook.playbook))?;
    let inventory = playbook.inventory.as_deref().map(Path::new).or(inventory);
    playbook.inventory = inventory.map(found).transpose()?;
    Ok(())
}

/// The one inventory that the fleet was read from, when it is one of Ansible's.
fn inventory(sources: &[PathBuf]) -> Option<PathBuf> {
    let [only] = sources else {
        return None;
    };
    let path = std::path::absolute(only).ok()?;
    if path.is_file() {
        let mut head = Vec::new();
        let file = std::fs::File::open(&path).ok()?;
        file.take(FORM_BYTES_MAX).read_to_end(&mut head).ok()?;
        // Our own form begins with the fleet's name.
        let own = String::from_utf8_lossy(&head)
            .lines()
            .any(|line| line.starts_with("fleet:"));
        if own {
            return None;
        }
    }
    Some(path)
}

fn on_path(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .and_then(|found| Some(found.to_str()?.to_owned()))
}
