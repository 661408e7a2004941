//! What goes wrong, as data.

use super::place::Place;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// `kill -9` of the controller.
    Controller,
    /// The host loses power at once and is switched on again.
    Power,
    /// The host's network is silent for a while that the connection outlasts.
    NetworkShort,
    /// The host's network is silent for longer than every bound of the connection.
    NetworkLong,
    /// The host's ssh server is stopped, every session killed.
    Sshd,
    /// The host's disk is full, while packages are unpacked where the step does that.
    DiskFull,
    /// `kill -9` of dpkg while a package is half configured.
    DpkgKilled,
    /// The package mirror is gone.
    MirrorAway,
    /// What the probes of the host's service ask is stopped.
    ProbeDown,
    /// The controller's clock jumps an hour ahead.
    ClockForward,
    /// The controller's clock jumps an hour back.
    ClockBack,
    /// A second controller is started on the same run, and another run on the same fleet.
    SecondController,
    /// keepalived is killed on the server that has the address: it keeps it, and the other one takes it too.
    AddressTwice,
}

/// All of them.
pub const FAULTS: [Fault; 13] = [
    Fault::Controller,
    Fault::Power,
    Fault::NetworkShort,
    Fault::NetworkLong,
    Fault::Sshd,
    Fault::DiskFull,
    Fault::DpkgKilled,
    Fault::MirrorAway,
    Fault::ProbeDown,
    Fault::ClockForward,
    Fault::ClockBack,
    Fault::SecondController,
    Fault::AddressTwice,
];

/// Hosts whose disk has an end; twice what an upgrade needs.
pub const DISKS_MB: [(&str, u64); 3] = [("web2", 8_000), ("db1", 8_000), ("inner1", 8_000)];

impl Fault {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Power => "power",
            Self::NetworkShort => "network-short",
            Self::NetworkLong => "network-long",
            Self::Sshd => "sshd",
            Self::DiskFull => "disk-full",
            Self::DpkgKilled => "dpkg-killed",
            Self::MirrorAway => "mirror-away",
            Self::ProbeDown => "probe-down",
            Self::ClockForward => "clock-forward",
            Self::ClockBack => "clock-back",
            Self::SecondController => "second-controller",
            Self::AddressTwice => "address-twice",
        }
    }

    /// How long it lasts, in seconds; then it heals by itself, whatever has become of who threw it.
    pub fn lasts_s(self) -> u64 {
        match self {
            Self::NetworkShort => 30,
            // Silence counts as a broken connection after 15 s, and is answered for 40 s then.
            Self::NetworkLong => 75,
            Self::Sshd | Self::MirrorAway | Self::AddressTwice => 20,
            Self::DiskFull => 45,
            Self::ProbeDown => 15,
            // They are over as soon as they have struck; a clock stays as it was set.
            Self::Controller
            | Self::Power
            | Self::DpkgKilled
            | Self::ClockForward
            | Self::ClockBack
            | Self::SecondController => 0,
        }
    }

    /// Whether it moves the controller's clock, so that the whole run needs one that can be moved.
    pub fn moves_clock(self) -> bool {
        matches!(self, Self::ClockForward | Self::ClockBack)
    }

    /// Whether it can strike there and means something.
    pub fn fits(self, place: &Place) -> bool {
        let step = place.step;
        // The host must be on and let root in when these strike.
        let is_on = !["rebuild", "reboot", "new-release"].contains(&step);
        let unpacks = ["minimal-upgrade", "full-upgrade"].contains(&step);
        match self {
            Self::Controller
            | Self::Power
            | Self::ClockForward
            | Self::ClockBack
            | Self::SecondController => true,
            Self::NetworkShort | Self::NetworkLong | Self::Sshd => is_on,
            Self::DiskFull => DISKS_MB.iter().any(|(host, _)| *host == place.host) && unpacks,
            Self::DpkgKilled => unpacks,
            Self::MirrorAway => [
                "index-of-the-old-release",
                "rehearse-and-download",
                "old-release-at-its-newest",
                "index-of-the-new-release",
                "full-upgrade",
            ]
            .contains(&step),
            Self::ProbeDown => {
                place.unit().is_some()
                    && (["prepare", "verify", "backup"].contains(&place.slot) || step == "begin")
            }
            Self::AddressTwice => {
                place.is_web() && (["drain", "prepare", "undrain"].contains(&place.slot))
            }
        }
    }

    /// Whether the site may fail to answer because of it: only where it takes away a server or the way to it, or the address is held twice.
    pub fn takes_site_away(self, place: &Place) -> bool {
        match self {
            Self::AddressTwice => true,
            // A server that was drained and stopped serves nobody.
            Self::Power | Self::NetworkShort | Self::NetworkLong | Self::ProbeDown => {
                place.is_web() && !["stop", "change", "start"].contains(&place.slot)
            }
            Self::Controller
            | Self::Sshd
            | Self::DiskFull
            | Self::DpkgKilled
            | Self::MirrorAway
            | Self::ClockForward
            | Self::ClockBack
            | Self::SecondController => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::places;
    use super::*;

    #[test]
    fn every_fault_has_places() {
        let places = places();
        for fault in FAULTS {
            let count = places.iter().filter(|place| fault.fits(place)).count();
            assert!(count >= 3, "{}: {count}", fault.word());
        }
    }

    #[test]
    fn a_stopped_server_is_no_excuse_for_failed_requests() {
        let places = places();
        let at = |host: &str, slot: &str| {
            let place = places.iter().find(|p| p.host == host && p.slot == slot);
            *place.unwrap()
        };
        assert!(Fault::Power.takes_site_away(&at("web1", "prepare")));
        assert!(!Fault::Power.takes_site_away(&at("web1", "change")));
        assert!(!Fault::Power.takes_site_away(&at("db1", "prepare")));
        assert!(!Fault::Controller.takes_site_away(&at("web1", "prepare")));
    }
}
