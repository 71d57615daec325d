//! A compressed file, read as if it were not: by offset, forwards.

use std::{
    fs::File,
    io::{self, BufReader, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use flate2::read::MultiGzDecoder;

/// Unit of reading, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// An open gzip file.
pub(crate) struct Gzip {
    file: File,
    decoder: MultiGzDecoder<BufReader<File>>,
    /// What was inflated last and may be asked for again; begins at offset `from`.
    window: Vec<u8>,
    from: u64,
    ended: bool,
}

impl Gzip {
    /// Begins to read.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let decoder = decoder(&file)?;
        Ok(Self {
            file,
            decoder,
            window: Vec::new(),
            from: 0,
            ended: false,
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// How long the text is, as the file says at its end: right for files of one member below 4 GiB, which is what
    /// rotation writes.
    pub(crate) fn stated_len(file: &File) -> io::Result<u64> {
        let end = file.metadata()?.size();
        let mut last = [0; 4];
        match end.checked_sub(4) {
            Some(at) => file.read_exact_at(&mut last, at)?,
            None => return Ok(0),
        }
        Ok(u64::from(u32::from_le_bytes(last)))
    }

    /// Copies text from `offset` on into `buf`, as far as it goes; how many bytes that were.
    pub(crate) fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset < self.from {
            self.decoder = decoder(&self.file)?;
            self.window.clear();
            self.from = 0;
            self.ended = false;
        }
        self.skip_to(offset)?;
        while self.window.len() < buf.len() && !self.ended {
            self.inflate()?;
        }
        let len = buf.len().min(self.window.len());
        if let (Some(to), Some(text)) = (buf.get_mut(..len), self.window.get(..len)) {
            to.copy_from_slice(text);
        }
        Ok(len)
    }

    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        loop {
            let ahead = usize::try_from(offset - self.from).unwrap_or(usize::MAX);
            let drop = ahead.min(self.window.len());
            self.window.drain(..drop);
            self.from += drop as u64;
            if self.from == offset || self.ended {
                return Ok(());
            }
            self.inflate()?;
        }
    }

    fn inflate(&mut self) -> io::Result<()> {
        let len = self.window.len();
        self.window.resize(len + STEP_BYTES, 0);
        let more = self
            .window
            .get_mut(len..)
            .map_or(Ok(0), |room| self.decoder.read(room));
        self.window.truncate(len + *more.as_ref().unwrap_or(&0));
        self.ended = more? == 0;
        Ok(())
    }
}

/// A decoder that begins at the first byte of the file, whatever was read of it before.
fn decoder(file: &File) -> io::Result<MultiGzDecoder<BufReader<File>>> {
    let mut file = file.try_clone()?;
    io::Seek::rewind(&mut file)?;
    Ok(MultiGzDecoder::new(BufReader::with_capacity(
        STEP_BYTES, file,
    )))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn text_is_read_by_offset_forwards_and_again() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut file = tempfile::tempfile().unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        file.write_all(&encoder.finish().unwrap()).unwrap();
        assert_eq!(Gzip::stated_len(&file).unwrap(), text.len() as u64);
        let mut gzip = Gzip::new(file).unwrap();
        for offset in [0, 10, 500_000, 499_000, 3, 1_199_990, 1_200_000] {
            let mut buf = vec![0; 100_000];
            let len = gzip.read_at(offset as u64, &mut buf).unwrap();
            let expected = &text[offset..text.len().min(offset + buf.len())];
            assert_eq!(&buf[..len], expected, "{offset}");
        }
    }
}
