//! Host certificates: whether an authority that we trust for a host vouches for the key that it shows.
//!
//! The rules are those of OpenSSH's `check_host_key`: the authority must stand in a `@cert-authority`
//! line for the host, neither it nor the key may be revoked, and kind, principals, times, critical
//! options and the algorithm of the signature must be right.

use russh::keys::{Certificate, PublicKey};

use super::error::Place;
use super::known_hosts::HostView;
use super::limits::Limits;

/// The answer to "does this certificate make the host known?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vouched {
    /// The authority of this line vouches for it.
    Yes(Place),
    /// This line forbids the key or its authority.
    Revoked(Place),
    /// The authority of this line signed it, but it does not count.
    Unfit {
        /// The line of the authority.
        place: Place,
        /// Why it does not count.
        reason: String,
    },
    /// No line trusts its authority; the key in it may be known by itself.
    NoAuthority,
}

/// Judges a certificate for a host of this name, at this time in seconds since 1970.
pub fn judge(
    view: &HostView,
    certificate: &Certificate,
    name: &str,
    now_s: u64,
    limits: &Limits,
) -> Vouched {
    let blob = |key| PublicKey::new(key, "").to_bytes().ok();
    let (Some(key), Some(authority)) = (
        blob(certificate.public_key().clone()),
        blob(certificate.signature_key().clone()),
    ) else {
        return Vouched::NoAuthority;
    };
    if let Some(place) = view.revoked(&key).or_else(|| view.revoked(&authority)) {
        return Vouched::Revoked(place.clone());
    }
    let Some(place) = view.authority(&authority) else {
        return Vouched::NoAuthority;
    };
    match unfit(certificate, name, now_s, limits) {
        None => Vouched::Yes(place.clone()),
        Some(reason) => Vouched::Unfit {
            place: place.clone(),
            reason,
        },
    }
}

fn unfit(certificate: &Certificate, name: &str, now_s: u64, limits: &Limits) -> Option<String> {
    if !certificate.cert_type().is_host() {
        return Some("it is no host certificate".to_owned());
    }
    if now_s < certificate.valid_after() {
        return Some("it is not yet valid".to_owned());
    }
    if now_s >= certificate.valid_before() {
        return Some("it has expired".to_owned());
    }
    let principals = certificate.valid_principals();
    if !principals.is_empty() && !principals.iter().any(|principal| principal == name) {
        return Some(format!("it does not name {name}"));
    }
    if !certificate.critical_options().is_empty() {
        return Some("it has critical options, which hosts have no use for".to_owned());
    }
    let algorithm = certificate.signature().algorithm();
    if !limits.allows_ca_signature(algorithm.as_str()) {
        return Some(format!(
            "its authority signed with {algorithm}, which is not allowed"
        ));
    }
    if certificate.verify_signature().is_err() {
        return Some("the signature of its authority is wrong".to_owned());
    }
    None
}
