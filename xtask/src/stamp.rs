//! Work that leaves a folder and is done again only when what it was made from changed.

use anyhow::{Context as _, Result};
use std::{fs, path::Path};

/// The file in the folder that says what it was made from.
const FILE: &str = "made-from";

/// Runs `make` unless `folder` was made from the same `wanted` text before.
pub(crate) fn ensure(folder: &Path, wanted: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = folder.join(FILE);
    if fs::read_to_string(&stamp).is_ok_and(|old| old == wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    // Gone before the work begins: half of it must not pass for the whole.
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }
    make()?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::cell::Cell;

    #[test]
    fn work_is_done_once_until_it_changes() {
        let folder = std::env::temp_dir().join(format!("weir-stamp-{}", std::process::id()));
        let count = Cell::new(0);
        let work = || {
            count.set(count.get() + 1);
            Ok(())
        };
        ensure(&folder, "a 1", work).unwrap();
        ensure(&folder, "a 1", work).unwrap();
        assert_eq!(count.get(), 1);
        assert!(ensure(&folder, "a 2", || bail!("no network")).is_err());
        ensure(&folder, "a 1", work).unwrap();
        assert_eq!(count.get(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
