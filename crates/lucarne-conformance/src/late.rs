//! Frames that are handed over before their work is done: whether the reader waits.
//!
//! The writer does its work again and again, and writes the frame's pixels the last time only. Before that it writes other
//! bytes: a reader who ignores the fence sees those, or an older frame.

use lucarne::negotiate::{Agreement, FencePath};
use lucarne::{Error, Fence};
use serde::{Deserialize, Serialize};

use crate::ends::{Sink, Source};
use crate::need::{Need, needs};
use crate::pattern;

/// How often the writer does its work before each hand-over: more each time, until a fence has not signalled yet.
const WORK: [u32; 4] = [8, 64, 512, 4096];

/// What came of frames that were handed over as soon as their work was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
#[non_exhaustive]
pub enum Late {
    /// The fence had not signalled when the frame was handed over, and every pixel was right: the last work's, as all before
    /// it wrote other bytes.
    Waited,
    /// Each fence had signalled by then, so that nothing was shown; the pixels were right.
    AlreadySignalled,
    /// No fence passes: the CPU waits before the frame is handed over, or the reader's before it begins.
    CpuWaits {
        /// Why.
        reason: String,
        /// What is lacking, and on which side.
        needs: Vec<Need>,
    },
    /// The pixels were wrong, or something else was.
    Failed {
        /// What.
        reason: String,
    },
}

/// Hands over one frame after the other, until a fence has not signalled.
pub(crate) fn hand_over(source: &dyn Source, sink: &dyn Sink, agreement: &Agreement) -> Late {
    if let FencePath::CpuWait(reason) = &agreement.acquire {
        return Late::CpuWaits {
            reason: reason.to_string(),
            needs: needs(reason),
        };
    }
    try_hand_over(source, sink, agreement).unwrap_or_else(|reason| Late::Failed { reason })
}

fn try_hand_over(
    source: &dyn Source,
    sink: &dyn Sink,
    agreement: &Agreement,
) -> Result<Late, String> {
    let words = |what: &'static str| move |error: Error| format!("{what}: {error}");
    let format = agreement.format;
    let info = format
        .info()
        .ok_or_else(|| format!("{format} is no known format"))?;
    let mut gate = Fence::Signaled;
    for (frame, times) in (0..).zip(WORK) {
        let bytes = pattern::bytes(info, agreement.extent, frame);
        let begun = source
            .begin(&gate, &bytes, times)
            .map_err(words("beginning to write"))?;
        let early = !begun.fence.is_signaled().map_err(words("the fence"))?;
        let (pixels, release) = sink.read(&begun.fence).map_err(words("read"))?;
        pattern::compare(info, agreement.extent, frame, &pixels)?;
        if early {
            return Ok(Late::Waited);
        }
        gate = release;
    }
    Ok(Late::AlreadySignalled)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::os::fd::OwnedFd;
    use std::rc::Rc;
    use std::time::Duration;

    use lucarne::kernel::SyncFile;
    use lucarne::negotiate::Reason;
    use lucarne::{Extent, Format, Frame, Request, Result, Usage, cpu, negotiate};
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;
    use crate::ends::{Begun, Pixels};

    /// What both ends share. Work is done when somebody waits for its fence: an eventfd stands for the kernel's.
    #[derive(Default)]
    struct Memory {
        pixels: RefCell<Vec<u8>>,
        /// What is to be written, and the fence.
        work: RefCell<Option<Work>>,
    }

    type Work = (Vec<u8>, OwnedFd);

    impl Memory {
        fn finish(&self) {
            if let Some((pixels, fence)) = self.work.borrow_mut().take() {
                *self.pixels.borrow_mut() = pixels;
                rustix::io::write(&fence, &1_u64.to_ne_bytes()).expect("eight bytes");
            }
        }
    }

    struct Writer {
        image: cpu::Image,
        memory: Rc<Memory>,
        /// How many frames are done at once.
        quick: Cell<u32>,
    }

    impl Source for Writer {
        fn frame(&self) -> &Frame {
            self.image.frame()
        }

        fn write(&self, _: &Fence, _: &[u8]) -> Result<Fence> {
            unreachable!("late frames are begun")
        }

        fn begin(&self, gate: &Fence, pixels: &[u8], _: u32) -> Result<Begun<'_>> {
            assert!(matches!(gate, Fence::Signaled), "the reader is done");
            let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
            let own = fd.try_clone().expect("a descriptor");
            // All work but the last is done at once.
            *self.memory.pixels.borrow_mut() = pixels.iter().map(|byte| !byte).collect();
            *self.memory.work.borrow_mut() = Some((pixels.to_vec(), fd));
            if self.quick.get() > 0 {
                self.quick.set(self.quick.get() - 1);
                self.memory.finish();
            }
            Ok(Begun {
                fence: Fence::sync_file(SyncFile::stand_in(own)),
                _upload: None,
            })
        }

        fn copies(&self) -> u32 {
            0
        }
    }

    struct Reader {
        memory: Rc<Memory>,
        waits: bool,
    }

    impl Sink for Reader {
        fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)> {
            if self.waits {
                self.memory.finish();
                acquire.wait(Duration::ZERO)?;
            }
            let pixels = self.memory.pixels.borrow().clone();
            Ok((Pixels::Bytes(pixels), Fence::Signaled))
        }

        fn copies(&self) -> u32 {
            0
        }
    }

    /// Host memory, whose fences are said to pass as `acquire` says.
    fn late(acquire: Option<FencePath>, quick: u32, waits: bool) -> Late {
        let device = cpu::Adapter::new(cpu::Allocator::HostMemory)
            .open()
            .expect("host memory");
        let offer = device.offer(Usage::TRANSFER_DESTINATION).expect("an offer");
        let usage = Usage::TRANSFER_DESTINATION;
        let request = Request::new(Extent::new(5, 3))
            .formats(&[Format::XRGB8888])
            .usage(usage, usage);
        let mut agreement = negotiate(&offer, &offer, &request).expect("with itself");
        let image = device.export(&agreement).expect("memory");
        let memory = Rc::<Memory>::default();
        let writer = Writer {
            image,
            memory: Rc::clone(&memory),
            quick: Cell::new(quick),
        };
        let reader = Reader { memory, waits };
        if let Some(acquire) = acquire {
            agreement.acquire = acquire;
        }
        hand_over(&writer, &reader, &agreement)
    }

    #[test]
    fn a_reader_that_waits_sees_the_frame_and_one_that_does_not_fails() {
        let passes = || Some(FencePath::SyncFile);
        assert_eq!(late(passes(), 0, true), Late::Waited);
        assert_eq!(late(passes(), 2, true), Late::Waited);
        let Late::Failed { reason } = late(passes(), 1, false) else {
            panic!("what was read was not there yet");
        };
        assert!(reason.contains("frame 1, pixel 0,0"), "{reason}");
    }

    #[test]
    fn fences_that_are_always_early_show_nothing() {
        let passes = Some(FencePath::SyncFile);
        assert_eq!(late(passes, u32::MAX, true), Late::AlreadySignalled);
    }

    #[test]
    fn where_no_fence_passes_the_reason_is_data() {
        let Late::CpuWaits { reason, needs } = late(None, 0, true) else {
            panic!("a CPU has no fences");
        };
        assert!(!reason.is_empty());
        assert!(
            needs.iter().all(|need| need.of_producer) && !needs.is_empty(),
            "{needs:?}"
        );
        let quirk = &lucarne::quirks::SOFTWARE_FENCES_HAVE_SIGNALLED;
        let text = FencePath::CpuWait(Reason::Text(quirk.name.to_owned()));
        let Late::CpuWaits { reason, needs } = late(Some(text), 0, true) else {
            panic!("a reason");
        };
        assert_eq!((reason.as_str(), needs.len()), (quirk.name, 0));
    }
}
