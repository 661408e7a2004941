//! Stanzas of `Key: value` lines with continuations, as dpkg and apt write them.

use std::collections::BTreeMap;

/// Fields by lower-case name; a value's further lines follow it after line breaks.
pub(super) type Stanza = BTreeMap<String, String>;

/// The stanzas of a text. Comment lines and lines that are nothing are passed over.
pub(super) fn stanzas(text: &str) -> Vec<Stanza> {
    let mut all = Vec::new();
    let mut stanza = Stanza::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            if !stanza.is_empty() {
                all.push(std::mem::take(&mut stanza));
            }
            last = None;
        } else if line.starts_with([' ', '\t']) {
            if let Some(value) = last.as_ref().and_then(|key| stanza.get_mut(key)) {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            let key = key.trim().to_ascii_lowercase();
            stanza.insert(key.clone(), value.trim().to_owned());
            last = Some(key);
        }
    }
    if !stanza.is_empty() {
        all.push(stanza);
    }
    all
}

/// A field, or nothing.
pub(super) fn field<'a>(stanza: &'a Stanza, key: &str) -> &'a str {
    stanza.get(key).map_or("", String::as_str)
}
