//! Where records came from: the sender's chunk id and each record's place in that chunk.

use bytes::Bytes;

/// The sender's chunk id, and which of its records a batch holds.
///
/// A filter may drop records; the places of the others must not move, because with
/// `identity = "origin"` they make the document ids. So dropped places are remembered in a bitmap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The id, byte for byte as the sender wrote it. Empty in a piece before the last, whose message has not told
    /// its id yet: buffers put it in when they hand the piece out.
    pub chunk: Bytes,
    /// Place of the batch's first record in the sender's chunk.
    pub first: u32,
    /// One bit per place from `first` on, lowest bit first, 1 = still in the batch. `None`: all are.
    pub kept: Option<Bytes>,
    /// Whether document ids are made from this origin (`identity = "origin"` at the source).
    pub identifies: bool,
}

impl Origin {
    /// The place in the sender's chunk of each record of the batch, in order. Endless when `kept` is `None`.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        let first = self.first;
        let kept = self.kept.as_deref();
        let places = (0_u32..)
            .take_while(move |place| kept.is_none_or(|bits| (*place as usize) < bits.len() * 8));
        places
            .filter(move |place| kept.is_none_or(|bits| bit(bits, *place)))
            .map(move |place| first + place)
    }

    /// The same chunk, of which exactly the records at `places` (ascending, of the chunk) are there.
    #[must_use]
    pub fn at(&self, places: &[u32]) -> Self {
        let whole = Self {
            first: places.first().copied().unwrap_or(self.first),
            kept: None,
            ..self.clone()
        };
        whole.narrowed(places.iter().map(|place| place - whole.first))
    }

    /// The origin that remains when only `survivors` (indexes into this batch, ascending) are kept.
    #[must_use]
    pub fn narrowed(&self, survivors: impl Iterator<Item = u32>) -> Self {
        let mut bits: Vec<u8> = Vec::new();
        let mut places = self.places();
        let mut next = 0_u32;
        for index in survivors {
            let Some(place) = places.nth((index - next) as usize) else {
                break;
            };
            next = index + 1;
            let offset = place - self.first;
            let byte = offset as usize / 8;
            bits.resize(bits.len().max(byte + 1), 0);
            if let Some(slot) = bits.get_mut(byte) {
                *slot |= 1 << (offset % 8);
            }
        }
        Self {
            kept: Some(bits.into()),
            ..self.clone()
        }
    }
}

fn bit(bits: &[u8], place: u32) -> bool {
    bits.get(place as usize / 8)
        .is_some_and(|byte| byte >> (place % 8) & 1 == 1)
}
