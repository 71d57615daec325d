//! Where lines end.

/// What ends a line, by the encoding of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eol {
    /// One byte: every encoding in which ASCII is ASCII.
    #[default]
    Byte,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
}

impl Eol {
    /// The length of the first line in `data` and that of its end.
    #[inline]
    pub(crate) fn find(self, data: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Byte => memchr::memchr(b'\n', data).map(|at| (at, 1)),
            Self::Utf16Le => wide(data, [b'\n', 0]),
            Self::Utf16Be => wide(data, [0, b'\n']),
        }
    }
}

fn wide(data: &[u8], end: [u8; 2]) -> Option<(usize, usize)> {
    let (units, _) = data.as_chunks::<2>();
    units
        .iter()
        .position(|unit| *unit == end)
        .map(|at| (at * 2, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_ends_are_found_at_whole_units_only() {
        assert_eq!(Eol::Byte.find(b"ab\nc"), Some((2, 1)));
        assert_eq!(Eol::Utf16Le.find(b"\x01\x0a\x00\x01\x0a\x00"), Some((4, 2)));
        assert_eq!(Eol::Utf16Be.find(b"a\x00\x0ab"), None);
        assert_eq!(Eol::Utf16Be.find(b"\x00a\x00\x0a"), Some((2, 2)));
    }
}
