//! The cases of the comparison with `ssh`, as data. `<K0>` is the host key of server 0, `<P0>` its port, `<AT>` its
//! name in known hosts files, `<DIR>` the test's folder, `<KEY>` the client key, `<AGENT>` the agent's socket.

/// What is expected of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    In,
    Out,
}
use End::{In, Out};

/// A name, what is expected, and what is written.
pub type Case = (&'static str, End, &'static str);

/// Lines of known hosts files.
pub const KNOWN: &[Case] = &[
    ("known", In, "<AT> <K0>"),
    ("unknown", Out, ""),
    ("changed", Out, "<AT> <K1>"),
    ("two keys, one right", In, "<AT> <K1>\n<AT> <K0>"),
    ("revoked", Out, "<AT> <K0>\n@revoked * <K0>"),
    ("another is revoked", In, "<AT> <K0>\n@revoked * <K1>"),
    (
        "revoked for another host",
        In,
        "<AT> <K0>\n@revoked other <K0>",
    ),
    ("wildcard", In, "[127.0.0.*]:<P0> <K0>"),
    ("wildcard of ports", In, "[127.0.0.1]:* <K0>"),
    ("negated with its port only", In, "*,!<AT> <K0>"),
    ("negated", Out, "*,!<AT>,!127.0.0.1 <K0>"),
    ("negates another", In, "*,![127.0.0.2]:<P0> <K0>"),
    ("without port", In, "127.0.0.1 <K0>"),
    ("other port", Out, "[127.0.0.1]:1 <K0>"),
    ("broken line before", In, "<AT> ssh-ed25519 ???\n<AT> <K0>"),
    ("list of names", In, "a,b,<AT> <K0>"),
    ("by alias of the configuration only", Out, "t <K0>"),
];

/// Configuration files.
pub const CONFIGURATIONS: &[Case] = &[
    ("first value wins", In, "Host t\n Port <P1>\n Port <P0>\n"),
    ("pattern", In, "Host t?\n Port 1\nHost t*\n Port <P1>\n"),
    (
        "negated pattern",
        In,
        "Host t* !t\n Port 1\nHost t\n Port <P1>\n",
    ),
    ("Match host", In, "Match host t\n Port <P1>\n"),
    ("Match exec", In, "Match exec \"test %n = t\"\n Port <P1>\n"),
    ("Match exec, no", In, "Match exec \"false\"\n Port 1\n"),
    (
        "Match originalhost and user",
        In,
        "Match originalhost t user nobody\n Port 1\n",
    ),
    ("Include", In, "Host t\n Include <DIR>/more\n"),
    ("Include of a pattern", In, "Host t\n Include <DIR>/mor*\n"),
    ("Include that is lacking", In, "Include <DIR>/nothing\n"),
    ("unknown keyword", Out, "Host t\n NoSuchKeyword x\n"),
    ("wrong value", Out, "Host t\n Port x\n"),
    (
        "HostName with token",
        In,
        "Host t\n HostName 127.0.0.1\nHost x\n HostName %h\n",
    ),
    ("quoted file", In, "Host t\n IdentityFile \"<KEY>\"\n"),
    ("address family", Out, "Host t\n AddressFamily inet6\n"),
    ("bind address", In, "Host t\n BindAddress 127.0.0.1\n"),
    (
        "canonical names",
        In,
        "CanonicalizeHostname yes\nCanonicalDomains nowhere.invalid\n",
    ),
    (
        "unknown account",
        Out,
        "Host t\n User nobody-of-this-name\n",
    ),
    ("kex", In, "Host t\n KexAlgorithms ecdh-sha2-nistp256\n"),
    (
        "cipher",
        In,
        "Host t\n Ciphers aes128-ctr\n MACs hmac-sha2-256\n",
    ),
    (
        "host key algorithms",
        Out,
        "Host t\n HostKeyAlgorithms rsa-sha2-512\n",
    ),
    (
        "keys not accepted",
        Out,
        "Host t\n PubkeyAcceptedAlgorithms rsa-sha2-512\n",
    ),
    ("no keys", Out, "Host t\n PubkeyAuthentication no\n"),
];

/// Keys and agents. `<ONLY>` begins the name of the only key file, `<USING>` goes to the agent.
pub const KEYS: &[Case] = &[
    ("wrong key", Out, "<ONLY>stranger"),
    ("missing key", Out, "<ONLY>nothing"),
    ("encrypted key", Out, "<ONLY>locked\nHost *\n"),
    (
        "several keys",
        Out,
        "<ONLY>locked\n IdentityFile <DIR>/stranger\n",
    ),
    ("agent", In, "<USING> IdentityFile <DIR>/only.pub\n"),
    (
        "agent, public half beside",
        In,
        "<USING> IdentityFile <DIR>/only\n",
    ),
    (
        "agent, every key",
        In,
        "<USING> IdentitiesOnly no\n IdentityFile <DIR>/stranger\n",
    ),
    (
        "agent, only a stranger",
        Out,
        "IdentitiesOnly yes\n<USING> IdentityFile <DIR>/stranger\n",
    ),
];

/// Certificates of accounts. `<ONLY>` begins the name of the only key file, `<USING>` goes to the agent.
pub const USER_CERTIFICATES: &[Case] = &[
    ("user certificate beside its key", In, "<ONLY>certified"),
    (
        "user certificate by name",
        In,
        "<ONLY>only\n CertificateFile <DIR>/certified-cert.pub\n IdentityFile <DIR>/certified\n",
    ),
    ("expired user certificate", Out, "<ONLY>expired"),
    ("user certificate of another", Out, "<ONLY>misnamed"),
    ("no user certificate", Out, "<ONLY>stranger"),
];

/// A host certificate: its name, its authority, words of `ssh-keygen`, a known hosts line, what is expected.
pub type Certified = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    End,
);

/// Host certificates. `<CA>`, `<OTHER>` and `<RSA>` are authorities.
pub const HOST_CERTIFICATES: &[Certified] = &[
    (
        "valid",
        "ca",
        &["-h", "-n", "127.0.0.1"],
        "@cert-authority * <CA>",
        In,
    ),
    ("any-principal", "ca", &["-h"], "@cert-authority * <CA>", In),
    (
        "by-rsa",
        "rsa-ca",
        &["-h", "-n", "127.0.0.1"],
        "@cert-authority * <RSA>",
        In,
    ),
    (
        "sha1",
        "rsa-ca",
        &["-h", "-n", "127.0.0.1", "-t", "ssh-rsa"],
        "@cert-authority * <RSA>",
        Out,
    ),
    (
        "wrong-principal",
        "ca",
        &["-h", "-n", "elsewhere"],
        "@cert-authority * <CA>",
        Out,
    ),
    (
        "wildcard-principal",
        "ca",
        &["-h", "-n", "127.*"],
        "@cert-authority * <CA>",
        Out,
    ),
    (
        "past",
        "ca",
        &["-h", "-n", "127.0.0.1", "-V", "20200101:20200102"],
        "@cert-authority * <CA>",
        Out,
    ),
    (
        "future",
        "ca",
        &["-h", "-n", "127.0.0.1", "-V", "20800101:20800102"],
        "@cert-authority * <CA>",
        Out,
    ),
    (
        "of-a-user",
        "ca",
        &["-n", "127.0.0.1"],
        "@cert-authority * <CA>",
        Out,
    ),
    (
        "unknown-ca",
        "other-ca",
        &["-h", "-n", "127.0.0.1"],
        "@cert-authority * <CA>",
        Out,
    ),
    (
        "revoked-ca",
        "ca",
        &["-h", "-n", "127.0.0.1"],
        "@cert-authority * <CA>\n@revoked * <CA>",
        Out,
    ),
    (
        "ca-elsewhere",
        "ca",
        &["-h", "-n", "127.0.0.1"],
        "@cert-authority other <CA>",
        Out,
    ),
    (
        "two-cas",
        "ca",
        &["-h", "-n", "127.0.0.1"],
        "@cert-authority * <OTHER>\n@cert-authority * <CA>",
        In,
    ),
];

/// Jump hosts and commands.
pub const WAYS: &[Case] = &[
    (
        "a jump host behind a jump host",
        In,
        "Host t\n ProxyJump j1\nHost j1\n Port <P1>\n ProxyJump j2\nHost j2\n Port <P2>\n",
    ),
    (
        "jump host with port",
        In,
        "Host t\n ProxyJump 127.0.0.1:<P1>\n",
    ),
    (
        "jump host as address",
        In,
        "Host t\n ProxyJump ssh://127.0.0.1:<P1>\n",
    ),
    (
        "jump host with an unknown account",
        Out,
        "Host t\n ProxyJump nobody-of-this-name@j1\nHost j1\n Port <P1>\n",
    ),
    ("no jump", In, "Host t\n ProxyJump none\n"),
    (
        "a jump host that is down",
        Out,
        "Host t\n ProxyJump j1\nHost j1\n Port 1\n",
    ),
    (
        "command",
        In,
        "Host t\n ProxyCommand ssh -F <DIR>/config -W %h:%p j1\nHost j1\n Port <P1>\n",
    ),
    (
        "command that fails",
        Out,
        "Host t\n ProxyCommand sh -c 'echo no way >&2; exit 1'\n",
    ),
    ("command none", In, "Host t\n ProxyCommand none\n"),
    (
        "command that is no way",
        Out,
        "Host t\n ProxyCommand echo %h %p %r %%\n",
    ),
];
