//! Records of the authority over datasets: one file for each, durable before anybody is told.

use super::durable;
use super::error::StoreError;
use super::layout::{DIR_MODE, Store};
use super::lock::Locked;
use jiff::Timestamp;
use overhaul_model::authority::{AuthorityRecord, AuthorityStand, Subject};
use overhaul_model::id::{Digest, Person};
use overhaul_model::wire::Refusal;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// Where they lie in a store.
const AUTHORITY_DIR: &str = "authority";

/// How their files end; a half-written one ends otherwise.
const ENDING: &str = ".json";

impl Store {
    /// What this host keeps of authority, by the names of datasets.
    ///
    /// # Errors
    /// When a record cannot be read, or is not what was written: then nobody knows who has the authority.
    pub fn authority(&self) -> Result<Vec<AuthorityRecord>, StoreError> {
        let dir = self.path(AUTHORITY_DIR);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &dir)(error)),
        };
        let mut out: Vec<AuthorityRecord> = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &dir))?.path();
            if path.to_string_lossy().ends_with(ENDING) {
                out.extend(durable::read_json(&path)?);
            }
        }
        out.sort_by(|a, b| a.about.dataset.cmp(&b.about.dataset));
        Ok(out)
    }

    fn record_path(&self, about: &Subject) -> PathBuf {
        let name = Digest::of(format!("{}\n{}", about.fleet, about.dataset));
        self.path(AUTHORITY_DIR)
            .join(format!("{}{ENDING}", name.as_str()))
    }
}

impl Locked<'_> {
    /// Puts a record in the place of the one about the same dataset.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_authority(&self, record: &AuthorityRecord) -> Result<(), StoreError> {
        let dir = self.store.path(AUTHORITY_DIR);
        if !dir.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(DIR_MODE)
                .create(&dir)
                .map_err(StoreError::io("created", &dir))?;
            durable::sync_dir(self.store.dir())?;
        }
        durable::replace_json(&self.store.record_path(&record.about), record)
    }

    /// Declares the record void that a person saw.
    ///
    /// # Errors
    /// When the store fails; the refusal is the inner result.
    pub fn void_authority(
        &self,
        seen: &Digest,
        person: &Person,
        reason: &str,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let is_seen = |record: &&AuthorityRecord| record.seen().is_ok_and(|word| word == *seen);
        let records = self.store.authority()?;
        let Some(record) = records.iter().find(is_seen) else {
            let why = "there is no such record of authority any more: look again".to_owned();
            return Ok(Err(Refusal::BadRequest { why }));
        };
        if matches!(record.stand, AuthorityStand::Voided { .. }) {
            return Ok(Ok(()));
        }
        let voided = AuthorityRecord {
            stand: AuthorityStand::Voided {
                person: person.clone(),
                reason: reason.to_owned(),
                at: Timestamp::now(),
                before: Box::new(record.stand.clone()),
            },
            ..record.clone()
        };
        self.put_authority(&voided).map(Ok)
    }
}
