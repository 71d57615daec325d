//! Reading again what was read before: frames of chunks that were set aside, and pieces of large messages.

use std::io;

use sdk::output::{Bitmap, Frame};
use tokio::time::Instant;

use super::{
    chunk::Parcel,
    frame::Kind,
    layout::{Place, complete},
    load::{Opened, PAUSES_MS, REST, Reading},
    scan::{Scanner, Spot, Step},
    segment::SEGMENT_HEADER_LEN,
};

impl Reading<'_> {
    /// Reads the frames of a chunk of which only the places are in memory.
    ///
    /// # Errors
    /// A segment could not be opened for a reason that may pass; the chunk waits on.
    pub(super) fn again(&mut self, parcel: Parcel) -> io::Result<()> {
        let mut again = Parcel::default();
        let mut live = parcel.live.as_ref().map(|_| Vec::new());
        let mut lost = Vec::new();
        let mut place = 0;
        for mark in &parcel.marks {
            let records = place..place + mark.count;
            place = records.end;
            let alive =
                records.filter(|place| parcel.live.as_ref().is_none_or(|live| live.get(*place)));
            match self.frame_at(mark.sequence, mark.place) {
                Ok(Some(mut frame)) => {
                    if let Some(id) = mark.group {
                        complete(&mut frame, &self.shared.index().chunk_of_group(id));
                    }
                    let begin = place - mark.count;
                    let len = u32::try_from(again.records()).unwrap_or(u32::MAX);
                    if let Some(live) = &mut live {
                        live.extend(alive.map(|place| place - begin + len));
                    }
                    again.push(frame, *mark, parcel.oldest_ms);
                }
                Ok(None) => lost.push((*mark, alive.count() as u64)),
                Err(error) => {
                    let until = Instant::now() + self.shared.files.lasts(REST);
                    self.shared.index().aside.put(parcel, until);
                    return Err(error);
                }
            }
        }
        for (mark, records) in lost {
            self.lost(&mark, records);
        }
        again.arrived = parcel.arrived;
        again.key.clone_from(&parcel.key);
        again.live = live.map(|live| {
            let mut bitmap = Bitmap::empty(u32::try_from(again.records()).unwrap_or(u32::MAX));
            for place in live {
                bitmap.set(place, true);
            }
            bitmap
        });
        let spent = self.shared.index().stash(again);
        self.shared.done(spent);
        Ok(())
    }

    /// The frame of this sequence, which was in this place when its chunk was taken.
    pub(super) fn frame_at(&mut self, sequence: u64, place: Place) -> io::Result<Option<Frame>> {
        if self.open(place.segment)? != Opened::Yes {
            return Ok(None);
        }
        let len = self
            .shared
            .index()
            .segment_at(place.segment)
            .map(|segment| segment.len);
        let Some((_, scanner)) = &mut self.loader.open else {
            return Ok(None);
        };
        let read = |scanner: &mut Scanner| read_at(scanner, sequence, place, len.unwrap_or(0));
        scanner.patiently(&self.shared.files, &PAUSES_MS, read)
    }
}

/// Reads a frame. A segment that was written anew without what is done has it in another place: it is looked for.
fn read_at(
    scanner: &mut Scanner,
    sequence: u64,
    place: Place,
    len: u64,
) -> io::Result<Option<Frame>> {
    let is_it = |spot: &Spot| spot.header.kind != Kind::End && spot.header.sequence == sequence;
    scanner.seek(place.offset);
    if let Some(Step::Frame(spot)) = scanner.step(place.offset + place.len)?
        && is_it(&spot)
    {
        return Ok(scanner.read(&spot)?.map(|decoded| decoded.frame));
    }
    scanner.seek(SEGMENT_HEADER_LEN as u64);
    while let Some(step) = scanner.step(len)? {
        if let Step::Frame(spot) = step
            && is_it(&spot)
        {
            return Ok(scanner.read(&spot)?.map(|decoded| decoded.frame));
        }
    }
    Ok(None)
}
