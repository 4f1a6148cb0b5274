//! A node in PipeWire's graph: the connection to the daemon, and its way back after a loss.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipewire::context::ContextRc;
use pipewire::core::CoreRc;
use pipewire::loop_::Timeout;
use pipewire::main_loop::MainLoopRc;
use pipewire::properties::PropertiesBox;
use pipewire::spa::param::ParamType;
use pipewire::spa::pod::Pod;
use pipewire::spa::utils::Direction;
use pipewire::stream::{Stream, StreamFlags, StreamListener, StreamRc, StreamState};
use rustix::event::{EventfdFlags, epoll};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::explain;
use crate::ffi::{self, Cycle, Listener, RawBuffer};
use crate::pods::{Param, VideoInfo};

/// How long lies between two attempts to reach a daemon.
const RETRY: Duration = Duration::from_millis(250);
/// How often the loop is asked in a row for what has happened meanwhile.
const MOST_ROUNDS: usize = 16;

/// What a producer and a consumer do differently. All of it runs within [`Node::dispatch`].
pub(crate) trait Side: 'static {
    const DIRECTION: Direction;

    fn flags(&self) -> StreamFlags;
    fn properties(&self) -> PropertiesBox;
    /// What can be negotiated, best first.
    fn formats(&self) -> Vec<Param>;
    fn format_changed(&mut self, stream: &Stream, info: Option<VideoInfo>);
    fn add_buffer(&mut self, buffer: RawBuffer);
    fn remove_buffer(&mut self, buffer: RawBuffer);
    /// The daemon and all its buffers are gone.
    fn lost(&mut self);
    fn events(&mut self) -> &mut VecDeque<Event>;
    /// What becomes readable when a frame has arrived, for a side that waits for some.
    fn arrivals(&self) -> Option<Arc<OwnedFd>> {
        None
    }
    /// Where cycles are noted, for a side that begins them.
    fn cycle(&self) -> Option<&Rc<Cycle>> {
        None
    }
}

/// What callbacks leave for after the loop's iteration.
#[derive(Default)]
struct Aftermath {
    /// Why the connection is over.
    broken: Option<String>,
    /// A panic of the program's own functions, which must not unwind through C.
    panic: Option<Box<dyn Any + Send>>,
}

pub(crate) struct Node<S: Side> {
    connection: Option<Connection<S>>,
    side: Rc<RefCell<S>>,
    aftermath: Rc<RefCell<Aftermath>>,
    main_loop: MainLoopRc,
    name: String,
    /// The daemon's socket, where it is not the user's own.
    remote: Option<String>,
    /// When the next attempt is made while there is no daemon.
    next: Instant,
    /// Readable when the loop, or `wake`, has something.
    poll: OwnedFd,
    wake: Arc<OwnedFd>,
}

/// Dropped in this order: nobody is told of what ends with the stream.
struct Connection<S: Side> {
    _cycles: Option<Listener<Rc<Cycle>>>,
    _arrivals: Option<Listener<Arc<OwnedFd>>>,
    _listener: StreamListener<Callbacks<S>>,
    stream: StreamRc,
    _errors: pipewire::core::Listener,
    _core: CoreRc,
}

struct Callbacks<S> {
    side: Rc<RefCell<S>>,
    aftermath: Rc<RefCell<Aftermath>>,
}

impl<S: Side> Callbacks<S> {
    fn run(&self, body: impl FnOnce(&mut S)) {
        let run = AssertUnwindSafe(|| body(&mut self.side.borrow_mut()));
        if let Err(panic) = catch_unwind(run) {
            self.aftermath.borrow_mut().panic.get_or_insert(panic);
        }
    }
}

impl<S: Side> Node<S> {
    /// A node that connects, and connects again, while it is dispatched.
    ///
    /// Something written to `wake` makes its descriptor readable, from any thread.
    pub(crate) fn new(
        name: &str,
        remote: Option<String>,
        wake: Arc<OwnedFd>,
        side: S,
    ) -> Result<Self> {
        pipewire::init();
        let main_loop =
            MainLoopRc::new(None).map_err(|error| Error::library("pw_main_loop_new", error))?;
        let os = |operation| move |errno: rustix::io::Errno| Error::library(operation, errno);
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os("epoll_create1"))?;
        for (number, fd) in [(0, main_loop.loop_().fd()), (1, wake.as_fd())] {
            let data = epoll::EventData::new_u64(number);
            epoll::add(&poll, fd, data, epoll::EventFlags::IN).map_err(os("epoll_ctl"))?;
        }
        Ok(Self {
            connection: None,
            side: Rc::new(RefCell::new(side)),
            aftermath: Rc::default(),
            main_loop,
            name: name.to_owned(),
            remote,
            next: Instant::now(),
            poll,
            wake,
        })
    }

    /// What this side knows, between two iterations of the loop.
    pub(crate) fn side(&self) -> std::cell::RefMut<'_, S> {
        self.side.borrow_mut()
    }

    /// What the other node lists for the direction that a link with this one needs.
    pub(crate) fn listed_by(
        &self,
        other: &str,
        timeout: Duration,
    ) -> Result<Option<Vec<VideoInfo>>> {
        let theirs = if S::DIRECTION == Direction::Output {
            Direction::Input
        } else {
            Direction::Output
        };
        explain::listed_by(other, theirs, self.remote.as_deref(), timeout)
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.connection
            .as_ref()
            .map(|connection| &*connection.stream)
    }

    /// Waits for something to happen, `timeout` at most, and handles it.
    pub(crate) fn dispatch(&mut self, timeout: Duration) -> Result<()> {
        let mut timeout = timeout;
        if self.connection.is_none() {
            if Instant::now() >= self.next {
                self.connect();
            }
            if self.connection.is_none() {
                timeout = timeout.min(self.next.saturating_duration_since(Instant::now()));
            }
        }
        self.wait(timeout)?;
        for _ in 0..MOST_ROUNDS {
            if self.main_loop.loop_().iterate(Timeout::None) <= 0 {
                break;
            }
        }
        self.clear_up();
        Ok(())
    }

    fn wait(&self, timeout: Duration) -> Result<()> {
        let timeout = rustix::event::Timespec::try_from(timeout).ok();
        let mut events = [rustix::event::epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 2];
        match epoll::wait(&self.poll, &mut events[..], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::library("epoll_wait", errno)),
        }
        let mut count = [0; 8];
        // EAGAIN where nobody woke it.
        _ = rustix::io::read(&*self.wake, &mut count);
        Ok(())
    }

    fn clear_up(&mut self) {
        let Aftermath { broken, panic } = std::mem::take(&mut *self.aftermath.borrow_mut());
        if let Some(reason) = broken {
            self.connection = None;
            self.next = Instant::now() + RETRY;
            let mut side = self.side.borrow_mut();
            side.lost();
            side.events().push_back(Event::Lost { reason });
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    fn connect(&mut self) {
        self.next = Instant::now() + RETRY;
        match self.try_connect() {
            Ok(connection) => self.connection = Some(connection),
            Err(error) => {
                let mut side = self.side.borrow_mut();
                let reason = error.to_string();
                // Said once, and not with every attempt.
                let same = |event: &Event| matches!(event, Event::NoDaemon { .. });
                if !side.events().iter().any(same) {
                    side.events().push_back(Event::NoDaemon { reason });
                }
            }
        }
    }

    fn try_connect(&self) -> Result<Connection<S>> {
        let context = ContextRc::new(&self.main_loop, None)
            .map_err(|error| Error::library("pw_context_new", error))?;
        let remote = self.remote.as_deref().map(remote_properties);
        let core = context.connect_rc(remote).map_err(|_| {
            let socket = self.remote.as_deref().unwrap_or("pipewire-0");
            Error::library(
                "connecting to PipeWire",
                format!("nobody answers at {socket:?} (XDG_RUNTIME_DIR, PIPEWIRE_REMOTE); is a daemon running?"),
            )
        })?;
        let errors = self.watch(&core);
        let properties = self.side.borrow().properties();
        let stream = StreamRc::new(core.clone(), &self.name, properties)
            .map_err(|error| Error::library("pw_stream_new", error))?;
        let listener = self.listen(&stream)?;
        let (formats, flags) = {
            let side = self.side.borrow();
            (side.formats(), side.flags())
        };
        let mut pods: Vec<&Pod> = formats.iter().filter_map(Param::pod).collect();
        stream
            .connect(S::DIRECTION, None, flags, &mut pods)
            .map_err(|error| Error::library("pw_stream_connect", error))?;
        let side = self.side.borrow();
        let cycles = side.cycle();
        Ok(Connection {
            _cycles: cycles.map(|cycle| ffi::listen_to_cycles(&stream, cycle)),
            _arrivals: side
                .arrivals()
                .map(|wake| ffi::listen_to_arrivals(&stream, wake)),
            _listener: listener,
            stream,
            _errors: errors,
            _core: core,
        })
    }

    /// The end of a connection is an error of the core's.
    fn watch(&self, core: &CoreRc) -> pipewire::core::Listener {
        let aftermath = Rc::clone(&self.aftermath);
        let side = Rc::clone(&self.side);
        core.add_listener_local()
            .info(move |info| {
                let daemon = info.version().to_owned();
                if let Ok(mut side) = side.try_borrow_mut() {
                    side.events().push_back(Event::Connected { daemon });
                }
            })
            .error(move |id, _, result, message| {
                if id == pipewire::core::PW_ID_CORE && result == -EPIPE {
                    let reason = format!("the daemon has closed the connection: {message}");
                    aftermath.borrow_mut().broken.get_or_insert(reason);
                }
            })
            .register()
    }

    fn listen(&self, stream: &StreamRc) -> Result<StreamListener<Callbacks<S>>> {
        let callbacks = Callbacks {
            side: Rc::clone(&self.side),
            aftermath: Rc::clone(&self.aftermath),
        };
        stream
            .add_local_listener_with_user_data(callbacks)
            .state_changed(|stream, callbacks, _, new| {
                let node = stream.node_id();
                callbacks.run(|side| side.events().extend(state_event(new, node)));
            })
            .param_changed(|stream, callbacks, id, param| {
                if id == ParamType::Format.as_raw() {
                    let info = param.and_then(VideoInfo::read);
                    callbacks.run(|side| side.format_changed(stream, info));
                }
            })
            .add_buffer(|_, callbacks, buffer| {
                if let Some(buffer) = RawBuffer::new(buffer) {
                    callbacks.run(|side| side.add_buffer(buffer));
                }
            })
            .remove_buffer(|_, callbacks, buffer| {
                if let Some(buffer) = RawBuffer::new(buffer) {
                    callbacks.run(|side| side.remove_buffer(buffer));
                }
            })
            .register()
            .map_err(|error| Error::library("pw_stream_add_listener", error))
    }
}

const EPIPE: i32 = 32;

/// Those of a connection to another daemon than the user's own.
pub(crate) fn remote_properties(socket: &str) -> PropertiesBox {
    let mut properties = PropertiesBox::new();
    properties.insert(*pipewire::keys::REMOTE_NAME, socket);
    properties
}

pub(crate) fn new_wake() -> Result<Arc<OwnedFd>> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let wake = rustix::event::eventfd(0, flags);
    Ok(Arc::new(
        wake.map_err(|errno| Error::library("eventfd", errno))?,
    ))
}

fn state_event(state: StreamState, node: u32) -> Option<Event> {
    match state {
        StreamState::Paused => Some(Event::Paused { node }),
        StreamState::Streaming => Some(Event::Streaming),
        StreamState::Error(reason) => Some(Event::Failed { reason }),
        StreamState::Unconnected | StreamState::Connecting => None,
    }
}

/// Announces anew what can be negotiated, and what the chosen format needs.
pub(crate) fn update(stream: &Stream, params: &[Param]) -> Result<()> {
    let mut pods: Vec<&Pod> = params.iter().filter_map(Param::pod).collect();
    stream
        .update_params(&mut pods)
        .map_err(|error| Error::library("pw_stream_update_params", error))
}

impl<S: Side> AsFd for Node<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}
