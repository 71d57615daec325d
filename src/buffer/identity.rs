//! Whose directory it is, and in which format: the FORMAT file and the headers of the segments.

use std::{io::ErrorKind, path::Path};

use super::{
    error::BufferError,
    files::{self, Files},
    segment::{HeaderError, SEGMENT_HEADER_LEN, SegmentHeader, VERSION},
    survey::PAUSES_MS,
};

const FILE_NAME: &str = "FORMAT";
/// Most of the FORMAT file that is read, in bytes.
const FORMAT_MAX: u64 = 4096;

/// The header of a segment; `None` when it is damaged or cannot be read.
///
/// # Errors
/// It is of a newer version.
pub(super) fn header(
    files: &Files,
    dir: &Path,
    first: u64,
) -> Result<Option<SegmentHeader>, BufferError> {
    let path = files::segment_path(dir, first);
    let read = || files.read_small(&path, SEGMENT_HEADER_LEN as u64);
    let bytes = files.patiently(&PAUSES_MS, read).unwrap_or_default();
    match SegmentHeader::decode(&bytes) {
        Ok(header) => Ok(Some(header)),
        Err(HeaderError::Damaged) => Ok(None),
        Err(HeaderError::Newer(version)) => Err(BufferError::Newer {
            path,
            version: u32::from(version),
        }),
    }
}

/// The identity that the FORMAT file tells; `None` when it is missing or damaged.
///
/// # Errors
/// It is of a newer version.
pub(super) fn read_format(files: &Files, dir: &Path) -> Result<Option<u128>, BufferError> {
    let path = dir.join(FILE_NAME);
    let Ok(bytes) = files.read_small(&path, FORMAT_MAX) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    };
    if let Some(version) = value("format").and_then(|version| version.parse().ok())
        && version != u32::from(VERSION)
    {
        return Err(BufferError::Newer { path, version });
    }
    Ok(value("id").and_then(|id| u128::from_str_radix(id, 16).ok()))
}

/// Whether the identity is truly gone, and not only hidden from us for now. With a new one, what is there would belong
/// to nobody.
///
/// # Errors
/// Something that may tell it cannot be read.
pub(super) fn can_be_read(files: &Files, dir: &Path, segments: &[u64]) -> Result<(), BufferError> {
    let segments = segments
        .iter()
        .map(|first| files::segment_path(dir, *first));
    for path in segments.chain([dir.join(FILE_NAME)]) {
        match files.read_small(&path, FORMAT_MAX) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(BufferError::io("read", path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes the FORMAT file, unless it says this already.
///
/// # Errors
/// It cannot be written, or is of a newer version.
pub(super) fn write_format(files: &Files, dir: &Path, id: u128) -> Result<(), BufferError> {
    if read_format(files, dir)? == Some(id) {
        return Ok(());
    }
    let path = dir.join(FILE_NAME);
    let text = format!("weir buffer\nformat {VERSION}\nid {id:032x}\n");
    files
        .replace(&path, text.as_bytes())
        .map_err(BufferError::io("write", path))
}
