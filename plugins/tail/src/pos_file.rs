//! Fluentd's `pos_file`: a path, a position and an inode in hexadecimal, with tabs between them.

use std::{fs, io, path::Path};

/// What stands for a file that is no longer watched.
const UNWATCHED: u64 = u64::MAX;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PosEntry {
    pub(crate) path: String,
    pub(crate) offset: u64,
    pub(crate) ino: u64,
}

/// Reads a file; nothing when it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Vec<PosEntry>> {
    match fs::read(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Lines that are not whole, and files that are no longer watched, are passed over.
fn parse(text: &[u8]) -> Vec<PosEntry> {
    String::from_utf8_lossy(text)
        .lines()
        .filter_map(|line| {
            let mut parts = line.rsplitn(3, '\t');
            let ino = u64::from_str_radix(parts.next()?.trim(), 16).ok()?;
            let offset = u64::from_str_radix(parts.next()?, 16).ok()?;
            let path = parts.next()?.to_owned();
            (offset != UNWATCHED && ino != 0).then_some(PosEntry { path, offset, ino })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_fluentd_are_read() {
        let text = b"/var/log/a.log\t0000000000000100\t00000000000004d2\n\
            /var/log/gone.log\tffffffffffffffff\t00000000000004d3\n\
            /var/log/new.log\t0000000000000000\t0000000000000000\n\
            broken\n";
        let expected = PosEntry {
            path: "/var/log/a.log".into(),
            offset: 256,
            ino: 1234,
        };
        assert_eq!(parse(text), [expected]);
    }
}
