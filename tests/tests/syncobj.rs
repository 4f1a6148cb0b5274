//! DRM timelines, on virtio-gpu in the guest: points, waits with a deadline, and the way to sync_files and back.

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use lucarne::{
    Error, Extent, Fence, Format, MemoryPath,
    kernel::{FenceStatus, TimelineDevice},
};
use lucarne_tests::module::{self, Card};
use lucarne_tests::pair::Pair;
use lucarne_tests::reader::Reader;
use lucarne_tests::skip::skip;
use lucarne_tests::vgem::Vgem;
use lucarne_tests::writer::Writer;
use lucarne_tests::{TIMEOUT, fds, pattern};
use rustix::event::EventfdFlags;

const DEADLINE: Duration = Duration::from_millis(200);

fn device() -> Option<TimelineDevice> {
    let device = module::load("virtio_gpu")
        .and_then(|()| Card::of_driver("virtio_gpu"))
        .and_then(|card| {
            let node = card.as_fd().try_clone_to_owned().expect("a descriptor");
            TimelineDevice::new(node).map_err(|error| error.to_string())
        });
    match device {
        Ok(device) => Some(device),
        Err(reason) => {
            skip("syncobj", &reason);
            None
        }
    }
}

fn vgem() -> Option<Vgem> {
    match Vgem::open() {
        Ok(vgem) => Some(vgem),
        Err(reason) => {
            skip("vgem", &reason);
            None
        }
    }
}

fn both() -> Option<(TimelineDevice, Vgem)> {
    let device = device()?;
    Some((device, vgem()?))
}

#[test]
fn points_are_reached_in_order() {
    let Some(device) = device() else { return };
    let timeline = device.create().expect("a timeline");
    assert_eq!(timeline.reached().expect("an answer"), 0);
    timeline.signal(3).expect("a first point");
    assert_eq!(timeline.reached().expect("an answer"), 3);
    assert_eq!(timeline.submitted().expect("an answer"), 3);
    timeline.at(2).wait(Duration::ZERO).expect("reached");
    timeline.at(3).wait(Duration::ZERO).expect("reached");
    assert!(!timeline.at(4).is_signaled().expect("an answer"));
    for point in [0, 2, 3] {
        let error = timeline.signal(point).expect_err("the past");
        assert!(error.to_string().contains("above 3"), "{error}");
    }
    timeline.signal(10).expect("points may be left out");
    timeline
        .at(7)
        .wait(Duration::ZERO)
        .expect("reached with 10");
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let Some(device) = device() else { return };
    let timeline = device.create().expect("a timeline");
    for wait in [0, 1] {
        let began = Instant::now();
        let point = timeline.at(1);
        let error = if wait == 0 {
            point.wait(DEADLINE)
        } else {
            point.wait_submitted(DEADLINE)
        };
        let error = error.expect_err("nobody signals it");
        assert!(matches!(error, Error::Timeout { after, .. } if after == DEADLINE));
        assert!(began.elapsed() >= DEADLINE);
    }
    let error = timeline.at(1).sync_file(DEADLINE).expect_err("no work yet");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn a_point_can_be_waited_for_before_its_work_is_submitted() {
    let Some(device) = device() else { return };
    let timeline = device.create().expect("a timeline");
    let point = timeline.at(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(DEADLINE);
            timeline.signal(1).expect("a first point");
        });
        let began = Instant::now();
        point.wait(TIMEOUT).expect("signalled by the other thread");
        assert!(began.elapsed() >= DEADLINE);
    });
}

#[test]
fn a_sync_file_becomes_a_point_and_a_point_a_sync_file() {
    let Some((device, vgem)) = both() else {
        return;
    };
    let timeline = device.create().expect("a timeline");
    let mut fence = vgem.fence();
    timeline.attach(5, &fence.sync_file()).expect("a point");
    assert_eq!(timeline.submitted().expect("an answer"), 5);
    assert_eq!(timeline.reached().expect("an answer"), 0);
    let point = timeline.at(5);
    point.wait_submitted(Duration::ZERO).expect("submitted");
    let file = point.sync_file(TIMEOUT).expect("a sync_file");
    assert_eq!(file.status().expect("an answer"), FenceStatus::Active);
    let early = point.wait(DEADLINE);
    assert!(matches!(early, Err(Error::Timeout { .. })), "{early:?}");
    fence.signal().expect("not expired");
    point.wait(TIMEOUT).expect("signalled");
    file.wait(TIMEOUT).expect("signalled");
    assert_eq!(timeline.reached().expect("an answer"), 5);
    let error = timeline.attach(5, &file).expect_err("the past");
    assert!(error.to_string().contains("above 5"), "{error}");
}

#[test]
fn what_is_no_sync_file_becomes_no_point() {
    let Some(device) = device() else { return };
    let timeline = device.create().expect("a timeline");
    let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC);
    let stand_in = lucarne::kernel::SyncFile::stand_in(eventfd.expect("an eventfd"));
    let error = timeline.attach(1, &stand_in).expect_err("an eventfd");
    assert!(error.to_string().contains("no sync_file"), "{error}");
    assert_eq!(timeline.submitted().expect("an answer"), 0);
    let error = device.import(&stand_in).expect_err("an eventfd");
    assert!(matches!(error, Error::Os { .. }), "{error}");
}

#[test]
fn a_descriptor_carries_the_timeline_to_another_client() {
    let Some(device) = device() else { return };
    let timeline = device.create().expect("a timeline");
    let other = Card::of_driver("virtio_gpu").expect("opened before");
    let other = other.as_fd().try_clone_to_owned().expect("a descriptor");
    let other = TimelineDevice::new(other).expect("as before");
    let fd = timeline.export().expect("a descriptor");
    let same = other.import(&fd).expect("the same timeline");
    timeline.signal(4).expect("a point");
    assert_eq!(same.reached().expect("an answer"), 4);
    let foreign = timeline.transfer(5, &same.at(4));
    let foreign = foreign.expect_err("handles are each client's own");
    assert!(foreign.to_string().contains("another node"), "{foreign}");
    // The timeline lives on in the other client.
    drop(timeline);
    same.signal(9).expect("a point");
    same.at(9).wait(Duration::ZERO).expect("reached");
}

#[test]
fn a_point_transfers_to_another_timeline() {
    let Some((device, vgem)) = both() else {
        return;
    };
    let from = device.create().expect("a timeline");
    let to = device.create().expect("a timeline");
    let mut fence = vgem.fence();
    from.attach(2, &fence.sync_file()).expect("a point");
    to.transfer(7, &from.at(2)).expect("submitted there too");
    assert_eq!(to.submitted().expect("an answer"), 7);
    assert_eq!(to.reached().expect("an answer"), 0);
    fence.signal().expect("not expired");
    to.at(7).wait(TIMEOUT).expect("reached with the other");
}

#[test]
fn an_eventfd_tells_when_a_point_is_reached() {
    let Some(device) = device() else { return };
    let timeline = device.create().expect("a timeline");
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let eventfd = rustix::event::eventfd(0, flags).expect("an eventfd");
    timeline.at(1).notify(&eventfd).expect("Linux 6.6 or newer");
    let mut count = [0; 8];
    let early = rustix::io::read(&eventfd, &mut count);
    assert_eq!(early, Err(rustix::io::Errno::AGAIN));
    timeline.signal(1).expect("a point");
    assert_eq!(rustix::io::read(&eventfd, &mut count), Ok(8));
    assert_eq!(u64::from_ne_bytes(count), 1);
}

/// A reader that is handed a point reads after it, and not before.
#[test]
fn a_point_gates_a_reader() {
    let Some(device) = device() else { return };
    let pair = Pair::open();
    let (format, extent) = (Format::ABGR8888, Extent::new(19, 11));
    let info = format.info().expect("known");
    let agreement = pair.agree(MemoryPath::HostMemory, format, extent);
    let image = pair.vk.export(&agreement.expect("always possible"));
    let image = image.expect("an exported image");
    let texture = pair.gl.import(image.frame()).expect("a texture");
    let bytes = pattern::bytes(info, extent, 1);
    let writer = Writer::new(&pair.vk);
    let timeline = device.create().expect("a timeline");
    let acquire = Fence::TimelinePoint(timeline.at(1));
    let early = pair.gl.read(&texture, &acquire, DEADLINE);
    assert!(matches!(early, Err(Error::Timeout { .. })), "{early:?}");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(DEADLINE);
            let written = writer.write(&image, &Fence::Signaled, &bytes);
            written.expect("a frame").wait(TIMEOUT).expect("done");
            timeline.signal(1).expect("a point");
        });
        pair.gl
            .read(&texture, &acquire, TIMEOUT)
            .expect("a turn to read");
        assert_eq!(timeline.reached().expect("an answer"), 1);
    });
    let pixels = Reader::new(&pair.gl).read(&texture);
    pattern::assert_equal(format, extent, 1, &pixels);
    pair.assert_valid();
}

#[test]
fn a_point_merges_with_other_fences() {
    let Some((device, vgem)) = both() else {
        return;
    };
    let timeline = device.create().expect("a timeline");
    let (mut first, mut second) = (vgem.fence(), vgem.fence());
    let file = Fence::sync_file(second.sync_file());
    let point = Fence::TimelinePoint(timeline.at(1));
    let error = Fence::merge(&[point.clone(), file.clone()]);
    let error = error.expect_err("nobody has submitted work for the point");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    timeline.attach(1, &first.sync_file()).expect("a point");
    let merged = Fence::merge(&[point, file]).expect("one fence of two");
    first.signal().expect("not expired");
    assert!(!merged.is_signaled().expect("an answer"));
    second.signal().expect("not expired");
    merged.wait(TIMEOUT).expect("both");
}

#[test]
fn a_driver_without_timelines_is_named() {
    let Some(_vgem) = vgem() else { return };
    let card = Card::of_driver("vgem").expect("opened before");
    let support = TimelineDevice::probe(&card).expect("an answer");
    let reason = support.reason();
    assert!(
        reason.contains("vgem has no DRM_CAP_SYNCOBJ_TIMELINE"),
        "{reason}"
    );
}

#[test]
fn timelines_leak_no_descriptor() {
    let Some(device) = device() else { return };
    let turn = || {
        let timeline = device.create().expect("a timeline");
        timeline.signal(1).expect("a point");
        let file = timeline.at(1).sync_file(TIMEOUT).expect("a sync_file");
        timeline.attach(2, &file).expect("a point");
        let fd = timeline.export().expect("a descriptor");
        device.import(&fd).expect("a timeline");
    };
    turn();
    let before = of_fences();
    for _ in 0..100 {
        turn();
    }
    assert_eq!(of_fences(), before, "{:#?}", fds::list());
}

/// Open sync_files and syncobjs, in fifties: other tests of this program have some in passing.
fn of_fences() -> usize {
    let files = fds::list();
    let files = files
        .iter()
        .filter(|f| f.contains("sync_file") || f.contains("syncobj"));
    files.count() / 50
}
