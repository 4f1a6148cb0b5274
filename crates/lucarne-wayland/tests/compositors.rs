//! A compositor that is not Weston: version 5 of the protocol with feedback that changes, a `failed` buffer, explicit fences; and what hostile
//! clients do to a compositor that imports with this crate.

mod common;
mod compositor;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use common::{Bare, Show, agree};
use compositor::{Behaviour, Compositor, is_alive};
use lucarne::color::Orientation;
use lucarne::cpu::Allocator;
use lucarne::kernel::{Memfd, TimelineDevice};
use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Extent, Fence, Format, MemoryPath, PoolFrame};
use lucarne_tests::display::until;
use lucarne_tests::module::{self, Card};
use lucarne_tests::picture::Picture;
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, fds, memory};
use lucarne_wayland::{Display, Surface};
use wayland_client::backend::protocol::ProtocolError;

const SIZES: [(u32, u32); 3] = [(64, 32), (33, 17), (1, 1)];

/// Each frame is seen with every pixel, over version 5 of the protocol.
fn frames_arrive(compositor: &Compositor, has_points: bool) {
    for (seed, (width, height)) in (0..).zip(SIZES) {
        let bare = Bare::open(&compositor.socket());
        let extent = Extent::new(width, height);
        let mut show = Show::begin_on(
            &bare.connection,
            &bare.surface,
            &Allocator::Udmabuf,
            extent,
            3,
        );
        assert_eq!(show.display.explicit_sync().is_yes(), has_points);
        for frame in 0..5 {
            let picture = Picture::of_many_colours(width, height, 10 * seed + frame);
            show.show(&picture);
            let seen = until("a commit", || compositor.seen().pop());
            let must: Vec<u8> = picture.xrgb8888();
            assert!(
                seen.bytes == must,
                "each byte of {width}x{height}, frame {frame}"
            );
            assert_eq!((seen.extent, seen.format), (extent, Format::XRGB8888));
            assert_eq!(seen.has_points, has_points);
        }
        show.surface.clear(TIMEOUT).expect("everything comes back");
        assert_eq!((show.surface.shown(), show.pool.free()), (0, 3));
        assert_eq!(show.display.exports(), 3);
    }
}

#[test]
fn frames_arrive_as_they_were_drawn() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    let before = fds::list();
    frames_arrive(&compositor, false);
    until("descriptors of clients that have gone", || {
        (fds::list().len() <= before.len()).then_some(())
    });
}

/// Timelines of virtio-gpu: the guest has it.
#[test]
fn fences_are_points_of_timelines_where_the_compositor_takes_them() {
    let _alone = fds::alone();
    let card = module::load("virtio_gpu").and_then(|()| Card::of_driver("virtio_gpu"));
    let card = match card {
        Ok(card) => card,
        Err(reason) => return skip("syncobj", &reason),
    };
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let node = card.as_fd().try_clone_to_owned().expect("a descriptor");
    let device = rustix::fs::fstat(&node).expect("a node").st_rdev;
    let timelines = match TimelineDevice::new(node) {
        Ok(timelines) => timelines,
        Err(error) => return skip("syncobj", &error.to_string()),
    };
    let behaviour = Behaviour {
        device,
        ..Behaviour::linear(&[Format::XRGB8888])
    };
    let compositor = Compositor::start(behaviour, Some(timelines));
    let before = fds::list();
    frames_arrive(&compositor, true);
    until("descriptors of clients that have gone", || {
        (fds::list().len() <= before.len()).then_some(())
    });
}

#[test]
fn a_buffer_that_fails_is_an_error_and_the_next_candidate_is_agreed_on() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let behaviour = Behaviour {
        fails: vec![Format::XRGB8888],
        ..Behaviour::linear(&[Format::XRGB8888, Format::XBGR8888])
    };
    let compositor = Compositor::start(behaviour, None);
    let bare = Bare::open(&compositor.socket());
    let display = Display::wrap(&bare.connection, TIMEOUT).expect("a display");
    let device = lucarne_tests::cpu::open(&Allocator::Udmabuf);
    let own = device.offer(lucarne::Usage::all()).expect("an offer");
    let mut request = lucarne::Request::new(Extent::new(64, 32))
        .formats(&[Format::XRGB8888, Format::XBGR8888])
        .paths(&[MemoryPath::DmaBuf]);
    let mut tried = Vec::new();
    let buffer = loop {
        let agreement = lucarne::negotiate(&own, &display.offer(), &request).expect("a candidate");
        let image = device.export(&agreement).expect("an image");
        tried.push(agreement.format);
        match display.export(image.frame(), TIMEOUT) {
            Ok(buffer) => break buffer,
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("failed") && text.contains("64x32 X"),
                    "{text}"
                );
                request = request.strike(Strike {
                    path: MemoryPath::DmaBuf,
                    format: Some(agreement.format),
                    modifier: None,
                    reason: StrikeReason::ImportFailed(text),
                });
            }
        }
    };
    assert_eq!(tried, [Format::XRGB8888, Format::XBGR8888]);
    assert_eq!(buffer.frame().layout().format(), Format::XBGR8888);
}

#[test]
fn feedback_that_changes_makes_another_offer() {
    let _alone = fds::alone();
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    let bare = Bare::open(&compositor.socket());
    let display = Display::wrap(&bare.connection, TIMEOUT).expect("a display");
    let mut surface: Surface = display.surface(&bare.surface, TIMEOUT).expect("a surface");
    let formats = |offer: &lucarne::Offer| -> Vec<Format> {
        offer.entries.iter().map(|entry| entry.format).collect()
    };
    assert_eq!(formats(&surface.offer()), [Format::XRGB8888]);
    assert!(surface.changed_offer().expect("it is there").is_none());
    // The same once more is no change.
    compositor.change(Behaviour::linear(&[Format::XRGB8888]));
    compositor.change(Behaviour::linear(&[Format::NV12, Format::XBGR8888]));
    let offer = until("another offer", || {
        surface.changed_offer().expect("it is there")
    });
    assert_eq!(formats(&offer), [Format::NV12, Format::XBGR8888]);
    assert_eq!(formats(&surface.offer()), formats(&offer));
}

#[test]
fn a_frame_that_is_turned_says_so() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    let bare = Bare::open(&compositor.socket());
    let display = Display::wrap(&bare.connection, TIMEOUT).expect("a display");
    let mut surface = display
        .surface::<PoolFrame>(&bare.surface, TIMEOUT)
        .expect("a surface");
    let agreement = agree(&Allocator::Udmabuf, &display.offer(), Extent::new(8, 4));
    let image = lucarne_tests::cpu::open(&Allocator::Udmabuf).export(&agreement);
    let frame = image.expect("an image").frame().clone();
    let mut color = frame.layout().color();
    color.orientation = Orientation::Rotated90;
    let pool = lucarne::Pool::new(vec![frame.with_color(color).expect("colours")]);
    let sent = pool
        .acquire()
        .expect("free")
        .acquire()
        .0
        .send(Fence::Signaled);
    let buffer = display.export(sent.frame(), TIMEOUT).expect("a buffer");
    surface
        .present(&buffer, sent.receive(), TIMEOUT)
        .expect("presented");
    let seen = until("a commit", || compositor.seen().pop());
    assert_eq!(seen.orientation, Orientation::Rotated90);
}

/// A frame of somebody else's memory, and one that the compositor has, are refused, and go back unread.
#[test]
fn frames_that_may_not_be_shown_go_back() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    let bare = Bare::open(&compositor.socket());
    let extent = Extent::new(8, 4);
    let mut show = Show::begin_on(
        &bare.connection,
        &bare.surface,
        &Allocator::Udmabuf,
        extent,
        2,
    );
    show.show(&Picture::of_many_colours(8, 4, 0));
    let shown = show.pool.frames()[0].clone();
    let buffer = show.display.export(&shown, TIMEOUT).expect("a buffer");
    let sent = show
        .free(TIMEOUT)
        .expect("free")
        .acquire()
        .0
        .send(Fence::Signaled);
    let refused = show.surface.present(&buffer, sent.receive(), TIMEOUT);
    assert!(
        refused
            .expect_err("another")
            .to_string()
            .contains("of another frame")
    );
    assert_eq!(show.pool.free(), 1, "it went back");
    // The same memory, out of another pool.
    let other = lucarne::Pool::new(vec![shown.clone()]);
    let sent = other
        .acquire()
        .expect("free")
        .acquire()
        .0
        .send(Fence::Signaled);
    let own = show
        .buffers
        .get_or_import(&shown, |_| unreachable!("it is kept"));
    let own = own.expect("kept").clone();
    let refused = show.surface.present(&own, sent.receive(), TIMEOUT);
    let text = refused.expect_err("the compositor has it").to_string();
    assert!(text.contains("with the compositor already"), "{text}");
    assert_eq!(other.free(), 1, "it went back");
}

#[test]
fn a_compositor_that_does_not_answer_is_given_up() {
    let _alone = fds::alone();
    if !memory::can(&Allocator::Udmabuf) {
        return;
    }
    let behaviour = Behaviour {
        is_mute: true,
        ..Behaviour::linear(&[Format::XRGB8888])
    };
    let compositor = Compositor::start(behaviour, None);
    let bare = Bare::open(&compositor.socket());
    let display = Display::wrap(&bare.connection, TIMEOUT).expect("a display");
    let agreement = agree(&Allocator::Udmabuf, &display.offer(), Extent::new(8, 4));
    let image = lucarne_tests::cpu::open(&Allocator::Udmabuf)
        .export(&agreement)
        .expect("an image");
    let begun = Instant::now();
    let short = Duration::from_millis(200);
    let error = display.export(image.frame(), short).expect_err("no answer");
    assert!(
        error.to_string().contains("did not happen within 200 ms"),
        "{error}"
    );
    assert!(begun.elapsed() < TIMEOUT / 2);
    // A socket that nobody serves.
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let connection = wayland_client::Connection::from_socket(ours).expect("a connection");
    let error = Display::wrap(&connection, short).expect_err("no answer");
    assert!(
        error.to_string().contains("did not happen within 200 ms"),
        "{error}"
    );
}

/// Memory that passes for a dma-buf.
fn buffer(bytes: u64) -> OwnedFd {
    let memory = Memfd::create("buffer", bytes).expect("memory");
    memory.as_fd().try_clone_to_owned().expect("a descriptor")
}

const XRGB: u32 = 0x3432_5258;
const NV12: u32 = 0x3231_564e;

/// What a client sends, and the code that it is ended with; none where it only fails.
struct Attack {
    /// Plane, offset, stride, modifier.
    planes: &'static [[u32; 4]],
    size: [i32; 2],
    format: u32,
    flags: u32,
    times: u32,
    code: Option<u32>,
}

const SOUND: Attack = Attack {
    planes: &[[0, 0, 256, 0]],
    size: [64, 32],
    format: XRGB,
    flags: 0,
    times: 1,
    code: None,
};

const ATTACKS: [Attack; 14] = [
    Attack {
        times: 2,
        code: Some(0),
        ..SOUND
    },
    Attack {
        planes: &[[4, 0, 256, 0]],
        code: Some(1),
        ..SOUND
    },
    Attack {
        planes: &[[u32::MAX, 0, 256, 0]],
        code: Some(1),
        ..SOUND
    },
    Attack {
        planes: &[[0, 0, 256, 0], [0, 0, 256, 0]],
        code: Some(2),
        ..SOUND
    },
    Attack {
        planes: &[],
        code: Some(3),
        ..SOUND
    },
    Attack {
        planes: &[[1, 0, 256, 0]],
        code: Some(3),
        ..SOUND
    },
    Attack {
        planes: &[[0, 0, 64, 0]],
        format: NV12,
        code: Some(3),
        ..SOUND
    },
    Attack {
        format: 0,
        code: Some(4),
        ..SOUND
    },
    Attack {
        planes: &[[0, 0, 256, 1]],
        code: Some(4),
        ..SOUND
    },
    Attack {
        planes: &[[0, 0, 64, 0], [1, 0, 64, 1]],
        format: NV12,
        code: Some(4),
        ..SOUND
    },
    Attack {
        size: [0, 32],
        code: Some(5),
        ..SOUND
    },
    Attack {
        size: [64, i32::MIN],
        code: Some(5),
        ..SOUND
    },
    Attack {
        planes: &[[0, 0x8000_0000, 256, 0]],
        code: Some(6),
        ..SOUND
    },
    Attack {
        size: [64, 4096],
        code: Some(6),
        ..SOUND
    },
];

#[test]
fn hostile_clients_are_ended_with_the_protocols_errors_and_nobody_else_is() {
    let _alone = fds::alone();
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888, Format::NV12]), None);
    let friend = Bare::open(&compositor.socket());
    let before = fds::list();
    for immediately in [false, true] {
        for attack in &ATTACKS {
            let hostile = Bare::open(&compositor.socket());
            let breach = hostile.attack(attack.planes, &buffer(16 * 1024), |params| {
                for _ in 0..attack.times {
                    params.create(attack.size, attack.format, attack.flags, immediately);
                }
            });
            let code = breach.map(|ProtocolError { code, .. }| code);
            assert_eq!(code, attack.code, "{:?} {:?}", attack.planes, attack.size);
        }
    }
    // Only fatal where the client waits for no answer: a pipe, and interlaced pictures.
    let (pipe, writer) = rustix::pipe::pipe().expect("a pipe");
    for (fd, flags) in [(&pipe, 0), (&buffer(16 * 1024), 2)] {
        for (immediately, code) in [(false, None), (true, Some(7))] {
            let hostile = Bare::open(&compositor.socket());
            let breach = hostile.attack(SOUND.planes, fd, |params| {
                params.create(SOUND.size, XRGB, flags, immediately);
            });
            assert_eq!(breach.map(|breach| breach.code), code);
        }
    }
    drop((pipe, writer));
    assert!(is_alive(&compositor.socket()));
    assert!(friend.connection.protocol_error().is_none());
    until("descriptors of clients that were ended", || {
        (fds::list().len() <= before.len()).then_some(())
    });
}

#[test]
fn a_sound_client_is_not_ended() {
    let _alone = fds::alone();
    let compositor = Compositor::start(Behaviour::linear(&[Format::XRGB8888]), None);
    let client = Bare::open(&compositor.socket());
    let breach = client.attack(SOUND.planes, &buffer(16 * 1024), |params| {
        params.create(SOUND.size, SOUND.format, SOUND.flags, false);
    });
    assert!(breach.is_none(), "{breach:?}");
}
