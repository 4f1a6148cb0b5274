//! A producer in the test's own process, whose frames change their size.

use std::path::Path;
use std::time::Duration;

use lucarne::{Agreement, Extent, Format, Frame, Request, Usage, cpu};
use lucarne_stream::{Error, Producer, ProducerOptions};

use super::served::Viewer;

type Allocate = Box<dyn FnMut(&Agreement) -> lucarne::Result<(cpu::Image, Frame)>>;

/// Longer than a frame takes.
const TIME: Duration = Duration::from_secs(5);

pub(crate) struct Changing(Producer<Allocate>);

fn request(width: u32, height: u32) -> Request {
    Request::new(Extent::new(width, height)).formats(&[Format::XRGB8888])
}

impl Changing {
    /// The stream "test".
    pub(crate) fn start(folder: &Path, width: u32, height: u32) -> Self {
        let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
        let device = adapter.open().expect("host memory");
        let offer = device.offer(Usage::RENDER).expect("an offer");
        let options = ProducerOptions::of(request(width, height)).directory(folder);
        let allocate: Allocate = Box::new(move |agreement| {
            let image = device.export(agreement)?;
            let frame = image.frame().clone();
            Ok((image, frame))
        });
        let producer = Producer::bind("test", &offer, options, allocate);
        Self(producer.expect("the name is free"))
    }

    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let changed = self.0.reconfigure(request(width, height));
        changed.expect("another size");
    }

    /// Sends a frame of one colour, if anybody can take it.
    pub(crate) fn send(&mut self, [red, green, blue]: [u8; 3]) {
        let slot = match self.0.acquire(Duration::from_millis(50)) {
            Ok(slot) => slot,
            Err(Error::Timeout { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        let image = slot.image();
        let bytes = [blue, green, red, 0].repeat(image.plane_bytes(0) / 4);
        let done = image.write(slot.gate(), TIME, |rows| rows.write_plane(0, &bytes));
        let sent = self
            .0
            .send(slot, done.expect("written"), lucarne_stream::now());
        sent.expect("sent");
    }

    /// Sends frames until the viewer has ended; gives its report.
    pub(crate) fn until_ended(&mut self, viewer: &mut Viewer) -> serde_json::Value {
        while viewer.is_running() {
            self.send([0; 3]);
        }
        viewer.ended(0)
    }
}
