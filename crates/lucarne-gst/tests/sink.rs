//! `lucarnesink`: a pipeline's buffers in a stream, byte for byte.

mod common;

use std::time::{Duration, Instant};

use common::{ODD, Peer, Pipeline, SOON, Watcher, assert_same, folder, planes, stamps, until};
use gst::prelude::*;
use gst_video::{VideoFrameFlags, VideoInfo, VideoMeta};
use lucarne::color::{Matrix, Range};
use lucarne::{Extent, Fence, Format, MemoryPath, Usage, egl};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery};
use lucarne_tests::engine::{self, Direction, Seen};
use lucarne_tests::fds;

const FORMATS: [(&str, Format); 6] = [
    ("BGRx", Format::XRGB8888),
    ("RGBA", Format::ABGR8888),
    ("RGB", Format::BGR888),
    ("NV12", Format::NV12),
    ("I420", Format::YUV420),
    ("YUY2", Format::YUYV),
];
const FRAMES: u64 = 30;

fn version() -> String {
    let (major, minor, micro, _) = gst::version();
    format!("{major}.{minor}.{micro}")
}

/// What `videotestsrc` draws, seen by an appsink.
fn reference(source: &str, format: Format, frames: u64) -> Vec<Vec<Vec<u8>>> {
    let pipeline = Pipeline::play(&format!("{source} ! appsink name=out sync=false"));
    let see = |_| {
        let sample = pipeline.pull("out").expect("a frame");
        planes(
            sample.buffer().expect("a buffer"),
            sample.caps().expect("caps"),
            format,
        )
    };
    (0..frames).map(see).collect()
}

fn test_source(word: &str, extent: Extent, frames: u64) -> String {
    let Extent { width, height } = extent;
    format!(
        "videotestsrc pattern=ball num-buffers={frames} ! \
         video/x-raw,format={word},width={width},height={height},framerate=100/1"
    )
}

#[test]
fn upstream_draws_into_the_streams_own_memory() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    for (word, format) in FORMATS {
        let folder = folder();
        // videotestsrc leaves the last chroma of an odd row of YUY2 as it was.
        let extent = match format {
            Format::YUYV => Extent::new(70, 35),
            _ => ODD,
        };
        let source = test_source(word, extent, FRAMES);
        let must = reference(&source, format, FRAMES);
        let pipeline = Pipeline::play(&format!(
            "{source} ! lucarnesink name=out stream=drawn directory={} wait-for-consumer=true \
             max-wait=5000 sync=false",
            folder.path().display()
        ));
        let mut watcher = Watcher::connect("drawn", folder.path());
        for (number, must) in must.iter().enumerate() {
            let seen = watcher.see().expect("a frame");
            assert_same(&seen.planes, must, &format!("{format}, frame {number}"));
            assert_eq!(seen.path, MemoryPath::DmaBuf);
            assert_eq!(seen.layout.format(), format);
        }
        pipeline.wait_for_eos();
        let copies = pipeline.stat("out", "copies");
        assert_eq!(pipeline.stat("out", "frames"), FRAMES);
        // The first buffers were made before there were slots.
        assert!(copies <= 3, "{format}: {copies} of {FRAMES} copied");
        assert_eq!(pipeline.stat("out", "dropped"), 0);
        engine::record(&Seen {
            engine: "GStreamer".to_owned(),
            version: version(),
            direction: Direction::Export,
            path: MemoryPath::DmaBuf,
            fences: "not told".to_owned(),
            copies: u32::from(copies > 3),
            pixels: FRAMES * u64::from(extent.width * extent.height),
            driver: engine::driver("the CPU at both ends", true),
        });
    }
}

/// Pushes numbered frames with strides that nobody asked for.
fn push(source: &gst_app::AppSrc, info: &VideoInfo, format: Format, number: u64) {
    let extent = Extent::new(info.width(), info.height());
    let known = format.info().expect("a known format");
    let (mut offsets, mut strides, mut bytes) = (Vec::new(), Vec::new(), vec![0xee; 52]);
    for (plane, stamp) in stamps(format, extent, number).iter().enumerate() {
        let row = known.row_bytes(plane, extent.width).expect("a row") as usize;
        let stride = row.next_multiple_of(4) + 36;
        offsets.push(bytes.len());
        strides.push(i32::try_from(stride).expect("short"));
        for line in stamp.chunks_exact(row) {
            bytes.extend_from_slice(line);
            bytes.resize(bytes.len() + stride - row, 0xee);
        }
        bytes.resize(bytes.len() + 20, 0xee);
    }
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    let whole = buffer.make_mut();
    VideoMeta::add_full(
        whole,
        VideoFrameFlags::empty(),
        info.format(),
        info.width(),
        info.height(),
        &offsets,
        &strides,
    )
    .expect("a description");
    source.push_buffer(buffer).expect("pushed");
}

fn app_source(pipeline: &Pipeline, caps: &str) -> (gst_app::AppSrc, VideoInfo) {
    let source = pipeline.element("in").downcast::<gst_app::AppSrc>();
    let source = source.expect("an appsrc");
    let caps: gst::Caps = caps.parse().expect("caps");
    source.set_caps(Some(&caps));
    (source, VideoInfo::from_caps(&caps).expect("a video"))
}

#[test]
fn foreign_strides_are_copied_row_by_row_and_counted() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    for (word, format) in FORMATS {
        let folder = folder();
        let pipeline = Pipeline::new(&format!(
            "appsrc name=in format=time do-timestamp=true ! lucarnesink name=out stream=foreign \
             directory={} wait-for-consumer=true max-wait=5000 sync=false",
            folder.path().display()
        ));
        let caps = format!(
            "video/x-raw,format={word},width={},height={},framerate=0/1",
            ODD.width, ODD.height
        );
        let (source, info) = app_source(&pipeline, &caps);
        pipeline.0.set_state(gst::State::Playing).expect("it plays");
        for number in 0..10 {
            push(&source, &info, format, number);
        }
        let mut watcher = Watcher::connect("foreign", folder.path());
        for number in 0..10 {
            let seen = watcher.see().expect("a frame");
            assert_same(
                &seen.planes,
                &stamps(format, ODD, number),
                &format!("{format} {number}"),
            );
        }
        source.end_of_stream().expect("the end");
        pipeline.wait_for_eos();
        assert_eq!(pipeline.stat("out", "copies"), 10);
    }
}

#[test]
fn colours_and_sizes_follow_the_caps() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let pipeline = Pipeline::new(&format!(
        "appsrc name=in format=time do-timestamp=true ! lucarnesink name=out stream=colours \
         directory={} wait-for-consumer=true max-wait=5000 sync=false",
        folder.path().display()
    ));
    let sizes = [ODD, Extent::new(97, 51)];
    let caps = |extent: Extent| {
        format!(
            "video/x-raw,format=I420,width={},height={},framerate=0/1,colorimetry=1:4:0:1",
            extent.width, extent.height
        )
    };
    let (source, mut info) = app_source(&pipeline, &caps(sizes[0]));
    pipeline.0.set_state(gst::State::Playing).expect("it plays");
    push(&source, &info, Format::YUV420, 0);
    let mut watcher = Watcher::connect("colours", folder.path());
    for extent in sizes {
        if extent != sizes[0] {
            info = app_source(&pipeline, &caps(extent)).1;
        }
        let end = Instant::now() + SOON;
        // Frames that come before consumers have imported the new size are dropped.
        let seen = loop {
            push(&source, &info, Format::YUV420, 7);
            let seen = watcher.see().expect("a frame");
            if seen.layout.extent() == extent && seen.planes == stamps(Format::YUV420, extent, 7) {
                break seen;
            }
            assert!(Instant::now() < end, "no frame of {extent}");
        };
        let color = seen.layout.color();
        assert_eq!((color.matrix, color.range), (Matrix::Bt601, Range::Full));
    }
}

#[test]
fn a_gl_consumer_shows_what_videotestsrc_draws() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let source = test_source("RGBx", ODD, FRAMES);
    let must = reference(&source, Format::XBGR8888, FRAMES);
    let pipeline = Pipeline::play(&format!(
        "{source} ! lucarnesink name=out stream=gl directory={} wait-for-consumer=true \
         max-wait=5000 sync=false",
        folder.path().display()
    ));
    let adapters = egl::Adapter::enumerate().expect("EGL");
    let device = adapters
        .first()
        .expect("a device")
        .open()
        .expect("a context");
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let options = ConsumerOptions::new(Delivery::Every).directory(folder.path());
    let import = |frame: &lucarne::Frame| device.import(frame);
    let mut consumer =
        Consumer::connect_wait("gl", &offer, options, import, SOON).expect("a stream");
    let mut is_emulated = false;
    for (number, must) in must.iter().enumerate() {
        let (reading, acquire) = consumer.receive(SOON).expect("a frame").acquire();
        device
            .read(reading.image(), &acquire, SOON)
            .expect("a turn");
        let seen = device.download(reading.image()).expect("pixels");
        is_emulated = reading.frame().is_emulated();
        reading.release(Fence::Signaled).expect("released");
        let must = must[0].chunks_exact(4);
        let wrong = seen.iter().zip(must).position(|(seen, must)| {
            (0..3).any(|one| (seen[one] - f32::from(must[one]) / 255.0).abs() > 1.0 / 1024.0)
        });
        assert_eq!(wrong, None, "frame {number}: first wrong pixel");
        assert_eq!(seen.len(), (ODD.width * ODD.height) as usize);
    }
    pipeline.wait_for_eos();
    let copies = pipeline.stat("out", "copies");
    assert!(copies <= 3, "{copies} of {FRAMES} copied");
    assert!(is_emulated || std::path::Path::new("/dev/udmabuf").exists());
}

#[test]
fn consumers_come_and_go_and_the_pipeline_goes_on() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=64,height=36,framerate=100/1 ! \
         lucarnesink name=out stream=busy directory={}",
        folder.path().display()
    ));
    until("frames that nobody sees", || {
        (pipeline.stat("out", "unseen") > 10).then_some(())
    });
    // One that is killed in the middle: a process of its own, and GStreamer's too.
    let mut peer = Peer::launch(
        &format!(
            "lucarnesrc stream=busy directory={} delivery=every ! fakesink",
            folder.path().display()
        ),
        folder.path(),
    );
    until("the consumer", || {
        (pipeline.stat("out", "consumers") == 1).then_some(())
    });
    peer.0.kill().expect("it runs");
    until("its end", || {
        (pipeline.stat("out", "consumers") == 0).then_some(())
    });
    // One that keeps every frame it gets: it is cut off, and others go on.
    let device = lucarne::cpu::Adapter::new(lucarne::cpu::Allocator::HostMemory);
    let device = device.open().expect("the CPU");
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let options = ConsumerOptions::new(Delivery::Every).directory(folder.path());
    let import = |frame: &lucarne::Frame| device.import(frame);
    let mut greedy = Consumer::connect("busy", &offer, options, import).expect("a stream");
    let mut kept = Vec::new();
    while let Ok(received) = greedy.receive(Duration::from_secs(1)) {
        kept.push(received);
    }
    assert!(!kept.is_empty());
    let mut watcher = Watcher::connect("busy", folder.path());
    for _ in 0..20 {
        watcher.see().expect("a frame");
    }
    assert_eq!(pipeline.error(), None);
}

#[test]
fn a_taken_name_and_a_format_that_streams_lack_are_named() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let sink = format!(
        "lucarnesink stream=taken directory={}",
        folder.path().display()
    );
    let first = Pipeline::play(&format!("videotestsrc is-live=true ! {sink}"));
    until("the stream", || {
        let found = lucarne_stream::streams_in(folder.path()).expect("a folder");
        found.iter().any(|one| one.name == "taken").then_some(())
    });
    let second = Pipeline::play(&format!("videotestsrc is-live=true ! {sink}"));
    let error = second.wait_for_error();
    assert!(error.contains("taken"), "{error}");
    drop(first);
    common::init();
    let linked = gst::parse::launch(&format!("videotestsrc ! video/x-raw,format=GRAY8 ! {sink}"));
    let error = linked.expect_err("no stream has GRAY8").to_string();
    assert!(error.contains("link"), "{error}");
}

#[test]
fn a_thousand_frames_leave_no_descriptor_behind() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let frames = 1100;
    let run = |frames: u64| {
        let pipeline = Pipeline::play(&format!(
            "{} ! lucarnesink name=out stream=flat directory={} wait-for-consumer=true max-wait=5000 sync=false",
            test_source("NV12", Extent::new(64, 36), frames),
            folder.path().display()
        ));
        let mut watcher = Watcher::connect("flat", folder.path());
        for _ in 0..frames.min(50) {
            watcher.see().expect("a frame");
        }
        let running = fds::open();
        let mut seen = 50;
        while watcher.see().is_some() {
            seen += 1;
            if seen % 100 == 0 {
                assert_eq!(fds::open(), running, "{:#?}", fds::list());
            }
            if seen == frames {
                break;
            }
        }
        drop(pipeline);
    };
    // What GStreamer opens once, it has opened.
    run(60);
    let before = fds::list();
    run(frames);
    fds::assert_as_many(&before);
}
