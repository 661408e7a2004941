//! Whole inventories: each line `##### PATH` begins a file; the folder `inv` is the inventory, `play` stands beside the definition.

use overhaul_source::SourceFile;
use overhaul_source::fleet::vault::VaultKeys;
use overhaul_source::fleet::{Disk, Kind, Request, load};
use std::collections::{BTreeMap, BTreeSet};

struct Texts<'t>(BTreeMap<&'t str, &'t str>);

impl Disk for Texts<'_> {
    fn kind(&mut self, path: &str) -> Kind {
        let folder = format!("{path}/");
        if self.0.contains_key(path) {
            Kind::File
        } else if self.0.keys().any(|name| name.starts_with(&folder)) {
            Kind::Folder
        } else {
            Kind::Missing
        }
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let folder = format!("{folder}/");
        let inside = self.0.keys().filter_map(|name| name.strip_prefix(&folder));
        let names: BTreeSet<&str> = inside.filter_map(|rest| rest.split('/').next()).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn text(&mut self, path: &str) -> Result<SourceFile, String> {
        let text = self.0.get(path).ok_or_else(|| format!("{path} is not there"))?;
        Ok(SourceFile::new(path, *text))
    }

    fn said(&mut self, program: &str, _: &[&str]) -> Result<String, String> {
        Err(format!("{program} is not run"))
    }
}

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let files = text.split("##### ").skip(1).filter_map(|file| file.split_once('\n'));
    let request = Request {
        sources: &["inv".to_owned()],
        beside: Some("play"),
        working_folder: Some("/srv"),
        keys: &VaultKeys::default(),
    };
    if let Err(problems) = load(request, &mut Texts(files.collect())) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|of_file| !of_file.to_string().is_empty()));
    }
}
