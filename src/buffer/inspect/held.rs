//! Reading the frames that are to be delivered.

use std::ops::ControlFlow;

use sdk::output::Frame;

use super::{
    super::{
        error::BufferError,
        files,
        frame::Decoded,
        layout::complete,
        scan::Spot,
        walk::{Found, walk},
    },
    Inspection,
};

/// A frame that is to be delivered.
#[derive(Debug)]
pub struct Held {
    /// The frame; a piece of a large message has the chunk id of the message.
    pub frame: Frame,
    /// When it was stored, in milliseconds since 1970.
    pub stored_ms: u64,
}

impl Inspection {
    /// Hands over every frame that is held, in the order of the files, until told to stop.
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn each_held(
        &self,
        visit: &mut dyn FnMut(Held) -> ControlFlow<()>,
    ) -> Result<(), BufferError> {
        for view in self.segments.iter().filter(|view| view.held.frames > 0) {
            let path = files::segment_path(&self.path, view.first);
            let (Some(salt), Ok((file, _))) = (view.salt, self.files.open(&path)) else {
                // Removed meanwhile, so all of it was done.
                continue;
            };
            let mut flow = ControlFlow::Continue(());
            let walked = walk(
                file,
                view.first,
                salt,
                view.bytes,
                &self.void,
                &mut |found| {
                    if let Found::Frame(spot, decoded) = found
                        && flow.is_continue()
                        && let Some(held) = self.held_frame(&spot, decoded)
                    {
                        flow = visit(held);
                    }
                },
            );
            if flow.is_break() {
                return Ok(());
            }
            walked.map_err(BufferError::io("read", path))?;
        }
        Ok(())
    }

    fn held_frame(&self, spot: &Spot, decoded: Decoded) -> Option<Held> {
        let mut frame = decoded.frame;
        if self.done.contains(frame.sequence) {
            return None;
        }
        if let Some(group) = decoded.group {
            let group = self.groups.get(&group)?;
            if !group.is_held(self.newest_lost) {
                return None;
            }
            complete(&mut frame, &group.chunk);
        }
        Some(Held {
            frame,
            stored_ms: spot.header.stored_ms,
        })
    }
}
