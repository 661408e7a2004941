//! The licences of everything that we link.

use super::run::Metadata;
use spdx::{Expression, ParseMode};

/// Licences that go together with MIT OR Apache-2.0 in a distributed program.
const ACCEPTED: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages whose licence is not accepted, as sentences.
pub fn check(metadata: &Metadata) -> Vec<String> {
    let mut out = Vec::new();
    for package in &metadata.packages {
        match package.license.as_deref() {
            None => out.push(format!("package {} names no licence", package.name)),
            Some(licence) if !accepted(licence) => {
                out.push(format!(
                    "package {} has the licence `{licence}`",
                    package.name
                ));
            }
            Some(_) => {}
        }
    }
    out
}

/// Whether an SPDX expression can be met by accepted licences alone; exceptions only loosen a licence.
fn accepted(expression: &str) -> bool {
    Expression::parse_mode(expression, ParseMode::LAX).is_ok_and(|expression| {
        expression.evaluate(|requirement| {
            requirement
                .license
                .id()
                .is_some_and(|id| ACCEPTED.contains(&id.name))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::accepted;

    #[test]
    fn expressions_are_met_or_not() {
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true),
            ("MIT/Apache-2.0", true),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-or-later", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("no licence at all", false),
        ] {
            assert_eq!(accepted(expression), expected, "{expression}");
        }
    }
}
