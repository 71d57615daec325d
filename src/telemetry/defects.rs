//! Deliberate defects for tests that must notice them. Compiled in by the feature `defects` only.

use std::sync::OnceLock;

/// Whether `WEIR_DEFECT` names this defect. Read once.
pub fn is_on(name: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let chosen = std::env::var("WEIR_DEFECT").ok();
        if let Some(defect) = &chosen {
            tracing::warn!(defect, "this build has a deliberate defect switched on");
        }
        chosen
    });
    chosen.as_deref() == Some(name)
}
