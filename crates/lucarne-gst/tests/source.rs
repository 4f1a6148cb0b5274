//! `lucarnesrc`: a stream's frames in a pipeline, byte for byte.

mod common;

use common::{Feed, ODD, Pipeline, SOON, assert_same, folder, planes, stamps, until};
use gst_video::VideoMeta;
use lucarne::color::{ChromaSiting, ColorDescription, Matrix, Range};
use lucarne::{Extent, Format, MemoryPath};
use lucarne_tests::engine::{self, Direction, Seen};
use lucarne_tests::fds;

const FORMATS: [Format; 6] = [
    Format::XRGB8888,
    Format::XBGR8888,
    Format::BGR888,
    Format::NV12,
    Format::YUV420,
    Format::YUYV,
];

/// Ten frames out of this pipeline: the stream's own bytes. Says how many were copied.
fn compare(feed: &Feed, between: &str) -> (u64, u64) {
    let folder = folder();
    let feeder = feed.clone().start(folder.path());
    let pipeline = Pipeline::play(&format!(
        "lucarnesrc name=in stream={} directory={} delivery=every {between} ! appsink name=out sync=false",
        feed.name,
        folder.path().display()
    ));
    let mut last = 0;
    for _ in 0..10 {
        let sample = pipeline.pull("out").expect("a frame");
        let buffer = sample.buffer().expect("a buffer");
        let number = buffer.offset();
        assert!(number > last, "{last}, then {number}");
        last = number;
        let seen = planes(buffer, sample.caps().expect("caps"), feed.format);
        let must = stamps(feed.format, feed.extent, number);
        assert_same(&seen, &must, &format!("{}, frame {number}", feed.format));
        assert!(buffer.pts().is_some(), "a live source's time");
    }
    let counts = (pipeline.stat("in", "frames"), pipeline.stat("in", "copies"));
    drop(pipeline);
    feeder.stop();
    counts
}

#[test]
fn frames_are_mapped_where_they_lie_and_copied_for_who_knows_no_strides() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    for path in [MemoryPath::DmaBuf, MemoryPath::HostMemory] {
        for format in FORMATS {
            // Our pitches are multiples of 256 bytes, GStreamer's of 4: an appsink asks for none.
            let feed = Feed {
                path,
                ..Feed::new("mapped", ODD, format)
            };
            let (frames, copies) = compare(&feed, "");
            assert!(frames >= 10 && copies >= 10, "{frames} {copies}");
        }
        // Where both count alike, nothing is copied: pitches of 256 bytes, and 16 rows.
        let feed = Feed {
            path,
            ..Feed::new("mapped", Extent::new(64, 32), Format::XRGB8888)
        };
        assert_eq!(compare(&feed, "").1, 0, "{path}");
    }
}

#[test]
fn dma_bufs_come_with_their_strides_and_are_not_copied() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    for format in FORMATS {
        let feed = Feed::new("dmabuf", ODD, format);
        let (frames, copies) = compare(&feed, "! video/x-raw(memory:DMABuf)");
        assert!(frames >= 10);
        assert_eq!(copies, 0, "{format}");
        engine::record(&Seen {
            engine: "GStreamer".to_owned(),
            version: version(),
            direction: Direction::Import,
            path: MemoryPath::DmaBuf,
            fences: "not told".to_owned(),
            copies: 0,
            pixels: 10 * u64::from(ODD.width * ODD.height),
            driver: engine::driver("the CPU at both ends", true),
        });
    }
}

fn version() -> String {
    let (major, minor, micro, _) = gst::version();
    format!("{major}.{minor}.{micro}")
}

#[test]
fn the_memory_is_the_streams_own_and_read_only() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let feeder = Feed::new("own", ODD, Format::NV12).start(folder.path());
    let pipeline = Pipeline::play(&format!(
        "lucarnesrc stream=own directory={} ! video/x-raw(memory:DMABuf) ! appsink name=out sync=false max-buffers=1",
        folder.path().display()
    ));
    let sample = pipeline.pull("out").expect("a frame");
    let buffer = sample.buffer().expect("a buffer");
    let memory = buffer.peek_memory(0);
    assert!(memory.is_memory_type::<gst_allocators::DmaBufMemory>());
    let meta = buffer.meta::<VideoMeta>().expect("strides");
    assert_eq!(meta.stride(), [256, 256], "those of FrameLayout::linear");
    assert_eq!(meta.offset(), [0, 256 * 48]);
    let mut copy = buffer.to_owned();
    // GStreamer makes a copy to write into, or refuses: the frame's own bytes stay as they are.
    if let Ok(mut map) = copy.make_mut().map_writable() {
        map.fill(0);
    }
    let seen = planes(buffer, sample.caps().expect("caps"), Format::NV12);
    assert_same(
        &seen,
        &stamps(Format::NV12, ODD, buffer.offset()),
        "after a write",
    );
    // It is not written again while somebody has it, however many frames go by.
    for _ in 0..30 {
        pipeline.pull("out").expect("a frame");
    }
    let seen = planes(buffer, sample.caps().expect("caps"), Format::NV12);
    let must = stamps(Format::NV12, ODD, buffer.offset());
    assert_same(&seen, &must, "after thirty more");
    drop(pipeline);
    feeder.stop();
}

#[test]
fn colours_are_in_the_caps() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let color = ColorDescription {
        matrix: Matrix::Bt601,
        range: Range::Full,
        siting: ChromaSiting::CENTER,
        ..ColorDescription::VIDEO
    };
    let feed = Feed {
        color: Some(color),
        ..Feed::new("colours", ODD, Format::YUV420)
    };
    let feeder = feed.start(folder.path());
    let pipeline = Pipeline::play(&format!(
        "lucarnesrc stream=colours directory={} ! appsink name=out sync=false",
        folder.path().display()
    ));
    let sample = pipeline.pull("out").expect("a frame");
    let info = gst_video::VideoInfo::from_caps(sample.caps().expect("caps")).expect("a video");
    let said = info.colorimetry();
    assert_eq!(said.matrix(), gst_video::VideoColorMatrix::Bt601);
    assert_eq!(said.range(), gst_video::VideoColorRange::Range0_255);
    assert_eq!(said.primaries(), gst_video::VideoColorPrimaries::Bt709);
    assert_eq!(info.chroma_site(), gst_video::VideoChromaSite::JPEG);
    drop(pipeline);
    feeder.stop();
}

#[test]
fn another_size_is_other_caps() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let next = Extent::new(97, 51);
    let feed = Feed {
        resize: Some((10, next)),
        ..Feed::new("resized", ODD, Format::XRGB8888)
    };
    let feeder = feed.start(folder.path());
    let pipeline = Pipeline::play(&format!(
        "lucarnesrc stream=resized directory={} delivery=every ! appsink name=out sync=false",
        folder.path().display()
    ));
    let mut sizes = Vec::new();
    while sizes.iter().filter(|one| **one == next).count() < 5 {
        let sample = pipeline.pull("out").expect("a frame");
        let caps = sample.caps().expect("caps");
        let info = gst_video::VideoInfo::from_caps(caps).expect("a video");
        let extent = Extent::new(info.width(), info.height());
        let buffer = sample.buffer().expect("a buffer");
        let seen = planes(buffer, caps, Format::XRGB8888);
        let must = stamps(Format::XRGB8888, extent, buffer.offset());
        assert_same(&seen, &must, &format!("{extent}"));
        sizes.push(extent);
        assert!(sizes.len() < 200, "{sizes:?}");
    }
    assert!(sizes.contains(&ODD), "{sizes:?}");
    drop(pipeline);
    feeder.stop();
}

#[test]
fn a_producer_that_goes_is_waited_for_or_ends_the_pipeline() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    for ends in [false, true] {
        let feed = Feed::new("gone", ODD, Format::NV12);
        let feeder = feed.clone().start(folder.path());
        let on_end = if ends { "eos" } else { "wait" };
        let pipeline = Pipeline::play(&format!(
            "lucarnesrc name=in stream=gone directory={} on-end={on_end} ! appsink name=out sync=false",
            folder.path().display()
        ));
        let kept = pipeline.pull("out").expect("a frame");
        feeder.stop();
        if ends {
            while pipeline.pull("out").is_some() {}
        } else {
            let feeder = feed.start(folder.path());
            until("the next producer's frames", || {
                let sample = pipeline.pull("out").expect("a frame");
                let buffer = sample.buffer().expect("a buffer");
                let seen = planes(buffer, sample.caps().expect("caps"), Format::NV12);
                assert_same(
                    &seen,
                    &stamps(Format::NV12, ODD, buffer.offset()),
                    "the next",
                );
                (pipeline.stat("in", "connections") >= 2).then_some(())
            });
            feeder.stop();
        }
        // What is held outlives its producer.
        let buffer = kept.buffer().expect("a buffer");
        let seen = planes(buffer, kept.caps().expect("caps"), Format::NV12);
        assert_same(&seen, &stamps(Format::NV12, ODD, buffer.offset()), "kept");
    }
}

#[test]
fn what_cannot_be_met_is_named_with_both_lists() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let feeder = Feed::new("refused", ODD, Format::NV12).start(folder.path());
    let source = format!(
        "lucarnesrc stream=refused directory={}",
        folder.path().display()
    );
    // Another format than the stream's.
    let pipeline = Pipeline::play(&format!(
        "{source} ! video/x-raw,format=BGRx ! appsink name=out"
    ));
    let error = pipeline.wait_for_error();
    for part in [
        "NV12: GStreamer (lucarnesrc) does not list it",
        "take video/x-raw, format=(string)BGRx",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // Another size.
    let pipeline = Pipeline::play(&format!(
        "{source} ! video/x-raw,format=NV12,width=64 ! appsink name=out"
    ));
    let error = pipeline.wait_for_error();
    for part in ["width=(int)71", "width=(int)64"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    feeder.stop();
    // No stream at all, and a time limit.
    let pipeline = Pipeline::play(&format!(
        "lucarnesrc stream=nobody directory={} timeout=200 ! appsink name=out",
        folder.path().display()
    ));
    let error = pipeline.wait_for_error();
    assert!(error.contains("\"nobody\" within 200 ms"), "{error}");
}

#[test]
fn a_thousand_frames_leave_no_descriptor_behind() {
    let _alone = fds::alone();
    if !common::can(&[]) {
        return;
    }
    let folder = folder();
    let feed = Feed {
        period: std::time::Duration::from_millis(1),
        ..Feed::new("flat", ODD, Format::NV12)
    };
    let feeder = feed.start(folder.path());
    let description = format!(
        "lucarnesrc stream=flat directory={} delivery=every ! video/x-raw(memory:DMABuf) ! \
         appsink name=out sync=false max-buffers=2",
        folder.path().display()
    );
    // What GStreamer opens once, it has opened.
    drop(Pipeline::play(&description).pull("out"));
    let before = fds::list();
    let pipeline = Pipeline::play(&description);
    for _ in 0..10 {
        pipeline.pull("out").expect("a frame");
    }
    let running = fds::open();
    for _ in 0..1000 {
        pipeline.pull("out").expect("a frame");
    }
    assert_eq!(fds::open(), running, "{:#?}", fds::list());
    drop(pipeline);
    until("the feeder's end of the connection", || {
        (fds::list().len() == before.len()).then_some(())
    });
    feeder.stop();
    let _ = SOON;
}
