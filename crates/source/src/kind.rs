//! Kinds of release upgraders, from files like `kinds/apt.yaml`.
//!
//! ```yaml
//! upgrader: apt
//! describes: Debian's apt, from one release to the next
//! paths:                       # release pairs, oldest first: os, release, code name
//!   - {from: debian 12 bookworm, to: debian 13 trixie}
//! space:                       # free space on the filesystem of a path
//!   - {path: /var/cache/apt, bytes: 2 GiB, because: packages of a whole release}
//! scopes:                      # outermost first; `close` runs whatever happens
//!   - name: no package starts a service
//!     open:  {name: keep services down, file: {path: /usr/sbin/policy-rc.d, content: "...", mode: "0755"}}
//!     close: {name: let services start again, file: {path: /usr/sbin/policy-rc.d, absent: true}}
//! prepare: [STEP]              # nothing of the running system changes
//! change:  [STEP]              # services are stopped
//! settle:  [STEP]              # after the reboot
//! ```
//!
//! A STEP is written as in a definition, with these keys: `name` (its slug is the step's id), exactly one
//! of `run: [argv]`, `shell: text`, `file: {..}`, `edit: {..}`, `wait: {until, every, at_most}`, and
//! `check`, `verify` (a measure each: `{run: [argv] | text}`, `{shell: text}`, `{unit, state}`,
//! `{release: debian 13}`, `{packages_clean: true}`, `{installed: [names]}`, `{file: {..}}`,
//! `{edit: {..}}`, `{http, status}`, `{tcp}`, `{all: [..]}`), `repeat: safe`, `timeout`, `stall`,
//! `expected`, `retry: {attempts, back_off}`, `outputs: {name: stdout}`, and for `run` and `shell` also
//! `env`, `cwd`, `success: [0]`, `output: none`.
//!
//! Texts may use `from` and `to` (each with `os` and `release`), `from_codename`, `to_codename`, `host`,
//! `steps`, and variables that every host has which the upgrader is used for.
