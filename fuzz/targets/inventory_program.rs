//! What inventory programs say: JSON for `--list`, then, behind a zero byte, JSON for every `--host NAME`.

use overhaul_source::SourceFile;
use overhaul_source::fleet::vault::VaultKeys;
use overhaul_source::fleet::{Disk, Kind, Request, load};

struct Program<'t> {
    list: &'t str,
    host: &'t str,
}

impl Disk for Program<'_> {
    fn kind(&mut self, path: &str) -> Kind {
        match path {
            "inventory" => Kind::Program,
            _ => Kind::Missing,
        }
    }

    fn names(&mut self, folder: &str) -> Result<Vec<String>, String> {
        Err(format!("{folder} is not there"))
    }

    fn text(&mut self, path: &str) -> Result<SourceFile, String> {
        Err(format!("{path} is not there"))
    }

    fn said(&mut self, _: &str, arguments: &[&str]) -> Result<String, String> {
        match arguments {
            ["--list"] => Ok(self.list.to_owned()),
            _ => Ok(self.host.to_owned()),
        }
    }
}

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let (list, host) = text.split_once('\0').unwrap_or((text, "{}"));
    let request = Request {
        sources: &["inventory".to_owned()],
        beside: None,
        working_folder: Some("/srv"),
        keys: &VaultKeys::default(),
    };
    if let Err(problems) = load(request, &mut Program { list, host }) {
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|of_file| !of_file.to_string().is_empty()));
    }
}
