//! Texts with placeholders, as people write them in a definition; a condition, a line break, and a text.

use overhaul_model::definition::Release;
use overhaul_model::template::{Context, Quoting, Renderer};

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let (condition, text) = text.split_once('\n').unwrap_or((text, ""));
    let release = |n: &str| Release {
        os: "debian".to_owned(),
        release: n.to_owned(),
    };
    let context = Context::new(None, &release("12"), &release("13")).with("word", "a b");
    let renderer = Renderer::new();
    for quoting in [Quoting::Plain, Quoting::Shell] {
        if let Err(error) = renderer.text(text, quoting, &context) {
            assert!(!error.to_string().is_empty());
        }
    }
    let _ = renderer.names(text);
    let _ = renderer.condition_names(condition);
    if let Err(error) = renderer.holds(condition, &context) {
        assert!(!error.to_string().is_empty());
    }
}
