//! A connection to a compositor, and what the compositor can do.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use lucarne::{Format, Offer, Requirement, Result, Support, Tiling};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use wayland_client::backend::WaylandError;
use wayland_client::protocol::wl_registry::WlRegistry;
use wayland_client::protocol::wl_shm::WlShm;
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle};
use wayland_protocols::wp::linux_dmabuf::zv1::client::zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1;
use wayland_protocols::wp::linux_drm_syncobj::v1::client::wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1;

use crate::error::{gone, lacks, os, refused, undispatched, unsupported};
use crate::events::{Shared, State, lock, shared};
use crate::feedback::{Collecting, Feedback, Tranche};
use crate::offer::{self, Taken};
use crate::sync::Timelines;

/// From this version on the compositor says which device it wants.
pub(crate) const WITH_FEEDBACK: u32 = 4;
/// The newest version that is known here.
const DMABUF: u32 = 5;

/// A compositor, as somebody who shows frames sees it. Cloning shares it.
///
/// It has an event queue of its own on the connection, so it works beside a toolkit that has the connection already: events
/// of the toolkit stay in the toolkit's queues. Made and used on one thread.
#[derive(Clone)]
pub struct Display {
    inner: Rc<Inner>,
}

struct Inner {
    connection: Connection,
    queue: RefCell<EventQueue<State>>,
    handle: QueueHandle<State>,
    registry: WlRegistry,
    globals: Vec<Global>,
    shm: Option<WlShm>,
    dmabuf: Option<ZwpLinuxDmabufV1>,
    feedback: Feedback,
    /// What may be sent: another pair is a protocol error, which ends the connection.
    taken: RefCell<Taken>,
    timelines: Result<Timelines, Requirement>,
    /// Frames that were made into buffers.
    exports: Cell<u64>,
}

/// An interface that a compositor has.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    pub(crate) name: u32,
    pub(crate) interface: String,
    pub(crate) version: u32,
}

impl Display {
    /// Connects to the compositor that `WAYLAND_DISPLAY` or `WAYLAND_SOCKET` names, and asks what it takes: `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`](lucarne::Error::Driver) where there is none; those of [`Display::wrap`].
    pub fn connect(timeout: Duration) -> Result<Self> {
        let connection = Connection::connect_to_env().map_err(|error| {
            let help = "WAYLAND_DISPLAY names the compositor's socket";
            refused("connecting to the compositor", error, help)
        })?;
        Self::wrap(&connection, timeout)
    }

    /// Asks the compositor at the other end of `connection` what it takes: `timeout` at most. The connection may be one that a
    /// toolkit uses too.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](lucarne::Error::Timeout) where it does not answer in time;
    /// [`Error::Invalid`](lucarne::Error::Invalid) where what it says is not so, with field, value and limit;
    /// [`Error::Os`](lucarne::Error::Os) where it has ended.
    pub fn wrap(connection: &Connection, timeout: Duration) -> Result<Self> {
        let deadline = Deadline::new(timeout);
        let mut queue = connection.new_event_queue();
        let handle = queue.handle();
        let asking = Asking {
            connection,
            queue: &mut queue,
            deadline,
        };
        let answers = asking.ask(&handle)?;
        let timelines = answers.timelines();
        let taken = Taken::new(&answers.feedback, &lock(&answers.formats));
        Ok(Self {
            inner: Rc::new(Inner {
                connection: connection.clone(),
                queue: RefCell::new(queue),
                handle,
                registry: answers.registry,
                globals: answers.globals,
                shm: answers.shm,
                dmabuf: answers.dmabuf,
                feedback: answers.feedback,
                taken: RefCell::new(taken),
                timelines,
                exports: Cell::new(0),
            }),
        })
    }

    /// The version of an interface that the compositor has, `zwp_linux_dmabuf_v1` for instance; `None` where it lacks it.
    pub fn version(&self, interface: &str) -> Option<u32> {
        let mut known = self.inner.globals.iter();
        let found = known.find(|global| global.interface == interface);
        found.map(|global| global.version)
    }

    /// Whether fences can be given to the compositor and come back from it (`wp_linux_drm_syncobj_v1`), and if not, why.
    pub fn explicit_sync(&self) -> Support {
        match &self.inner.timelines {
            Ok(_) => Support::Yes(()),
            Err(missing) => Support::no(missing.clone()),
        }
    }

    /// Which dma-bufs the compositor takes. For one surface it may say more: [`Surface::offer`](crate::Surface::offer).
    pub fn feedback(&self) -> &Feedback {
        &self.inner.feedback
    }

    /// What the compositor can show, for [`negotiate`](lucarne::negotiate()): dma-bufs as its feedback says, and host memory by
    /// `wl_shm`. It samples frames; ask for [`Usage::SAMPLE`](lucarne::Usage::SAMPLE).
    pub fn offer(&self) -> Offer {
        self.offer_of(&self.inner.feedback)
    }

    pub(crate) fn offer_of(&self, feedback: &Feedback) -> Offer {
        let formats = self.inner.taken.borrow().shared_formats();
        let has_dmabuf = self.inner.dmabuf.is_some();
        offer::of(feedback, has_dmabuf, &formats, &self.explicit_sync())
    }

    /// Reads what has come from the compositor, and sends what is waiting. Does not block. Call it when the
    /// [descriptor](AsFd) is readable, or once per frame.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](lucarne::Error::Os) where the compositor has ended;
    /// [`Error::Driver`](lucarne::Error::Driver), with the compositor's words, where it has ended the connection.
    pub fn dispatch(&self) -> Result<()> {
        self.step(Duration::ZERO).map(drop)
    }

    /// As [`Display::dispatch`], and blocks until something came, `timeout` at most. Says whether something came.
    ///
    /// # Errors
    ///
    /// Those of [`Display::dispatch`].
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        self.step(timeout)
    }

    /// How many frames were made into buffers so far: each costs a few messages, so it should be one for each buffer, and not one for each
    /// frame.
    pub fn exports(&self) -> u64 {
        self.inner.exports.get()
    }

    pub(crate) fn count_export(&self) {
        self.inner.exports.set(self.inner.exports.get() + 1);
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    pub(crate) fn handle(&self) -> &QueueHandle<State> {
        &self.inner.handle
    }

    pub(crate) fn shm(&self) -> Option<&WlShm> {
        self.inner.shm.as_ref()
    }

    pub(crate) fn dmabuf(&self) -> Option<&ZwpLinuxDmabufV1> {
        self.inner.dmabuf.as_ref()
    }

    pub(crate) fn timelines(&self) -> Option<&Timelines> {
        self.inner.timelines.as_ref().ok()
    }

    pub(crate) fn taken(&self) -> &RefCell<Taken> {
        &self.inner.taken
    }

    /// Binds the first global of this kind, in the newest version that both know.
    pub(crate) fn bind<I>(&self, least: u32, most: u32) -> Result<I>
    where
        I: Proxy + 'static,
        State: Dispatch<I, ()>,
    {
        let (registry, globals) = (&self.inner.registry, &self.inner.globals);
        bind(globals, registry, self.handle(), least, most, ()).ok_or_else(|| {
            let name = I::interface().name;
            unsupported(name, lacks(&[&format!("{name}, version {least} or newer")]))
        })
    }

    /// Handles events until `done` has an answer, `timeout` at most.
    pub(crate) fn until<T>(
        &self,
        what: &'static str,
        timeout: Duration,
        done: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let mut queue = self.inner.queue.borrow_mut();
        let deadline = Deadline::new(timeout);
        until(self.connection(), &mut queue, what, deadline, done)
    }

    fn step(&self, timeout: Duration) -> Result<bool> {
        let mut queue = self.inner.queue.borrow_mut();
        step(self.connection(), &mut queue, timeout)
    }
}

/// Readable when [`Display::dispatch`] has something to do. Where a toolkit reads the same connection, it may read our events too; then the
/// descriptor does not tell.
impl AsFd for Display {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.connection.as_fd()
    }
}

impl fmt::Debug for Display {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Display")
            .field("feedback", &self.feedback())
            .field("explicit_sync", &self.explicit_sync())
            .finish_non_exhaustive()
    }
}

/// What the compositor says before anything is shown.
struct Answers {
    registry: WlRegistry,
    globals: Vec<Global>,
    shm: Option<WlShm>,
    formats: Shared<Vec<Format>>,
    dmabuf: Option<ZwpLinuxDmabufV1>,
    feedback: Feedback,
    syncobj: Option<WpLinuxDrmSyncobjManagerV1>,
}

impl Answers {
    fn timelines(&self) -> Result<Timelines, Requirement> {
        let manager = self.syncobj.clone().ok_or_else(|| {
            Requirement::other(format!(
                "the compositor lacks {}",
                WpLinuxDrmSyncobjManagerV1::interface().name
            ))
        })?;
        Timelines::open(manager, self.feedback.main_device)
    }
}

struct Asking<'a> {
    connection: &'a Connection,
    queue: &'a mut EventQueue<State>,
    deadline: Deadline,
}

impl Asking<'_> {
    fn ask(mut self, handle: &QueueHandle<State>) -> Result<Answers> {
        let listed = shared();
        let registry = self
            .connection
            .display()
            .get_registry(handle, listed.clone());
        self.roundtrip(handle)?;
        let globals: Vec<Global> = std::mem::take(&mut *lock(&listed));
        let formats = shared();
        let shm = bind(&globals, &registry, handle, 1, 1, formats.clone());
        let pairs: Shared<HashSet<(Format, Tiling)>> = shared();
        let dmabuf: Option<ZwpLinuxDmabufV1> =
            bind(&globals, &registry, handle, 1, DMABUF, pairs.clone());
        let said: Shared<Collecting> = shared();
        let asked = dmabuf.as_ref().filter(|one| one.version() >= WITH_FEEDBACK);
        let asked = asked.map(|one| one.get_default_feedback(handle, said.clone()));
        self.roundtrip(handle)?;
        let feedback = match asked {
            Some(asked) => {
                let feedback = self.until("the compositor's feedback", || lock(&said).take())?;
                asked.destroy();
                feedback?
            }
            None => listed_before_feedback(&lock(&pairs)),
        };
        let syncobj = bind(&globals, &registry, handle, 1, 1, ());
        Ok(Answers {
            registry,
            shm,
            formats,
            dmabuf,
            feedback,
            syncobj,
            globals,
        })
    }

    fn roundtrip(&mut self, handle: &QueueHandle<State>) -> Result<()> {
        let done = shared();
        self.connection.display().sync(handle, Shared::clone(&done));
        self.until("the compositor's answer", || lock(&done).then_some(()))
    }

    fn until<T>(&mut self, what: &'static str, done: impl FnMut() -> Option<T>) -> Result<T> {
        until(self.connection, self.queue, what, self.deadline, done)
    }
}

/// Versions before the fourth list pairs, and say nothing of devices.
fn listed_before_feedback(pairs: &HashSet<(Format, Tiling)>) -> Feedback {
    let mut pairs: Vec<(Format, Tiling)> = pairs.iter().copied().collect();
    pairs.sort_by_key(|(format, tiling)| (format.fourcc(), tiling.code()));
    Feedback {
        main_device: None,
        tranches: vec![Tranche {
            pairs,
            ..Tranche::default()
        }],
    }
}

fn bind<I, U>(
    globals: &[Global],
    registry: &WlRegistry,
    handle: &QueueHandle<State>,
    least: u32,
    most: u32,
    data: U,
) -> Option<I>
where
    I: Proxy + 'static,
    U: Send + Sync + 'static,
    State: Dispatch<I, U>,
{
    let name = I::interface().name;
    let found = globals.iter().find(|global| global.interface == name)?;
    (found.version >= least)
        .then(|| registry.bind(found.name, found.version.min(most), handle, data))
}

/// When waiting ends.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    begun: Instant,
    timeout: Duration,
}

impl Deadline {
    fn new(timeout: Duration) -> Self {
        Self {
            begun: Instant::now(),
            timeout,
        }
    }

    fn left(self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }
}

fn until<T>(
    connection: &Connection,
    queue: &mut EventQueue<State>,
    what: &'static str,
    deadline: Deadline,
    mut done: impl FnMut() -> Option<T>,
) -> Result<T> {
    loop {
        // What has been read already counts at the deadline, too.
        let left = deadline.left();
        if let Some(answer) = done() {
            return Ok(answer);
        }
        let came = step(connection, queue, left)?;
        if left.is_zero() && !came {
            return Err(lucarne::Error::Timeout {
                waiting_for: what,
                after: deadline.timeout,
            });
        }
    }
}

/// Handles what has come; where nothing has, waits for it. Says whether something has.
fn step(connection: &Connection, queue: &mut EventQueue<State>, timeout: Duration) -> Result<bool> {
    let has_sent = flush(connection, queue)?;
    // A toolkit that reads the socket puts our events into the queue.
    if dispatch(connection, queue)? {
        return Ok(true);
    }
    if let Some(guard) = queue.prepare_read() {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, !has_sent);
        let mut fds = [PollFd::from_borrowed_fd(guard.connection_fd(), flags)];
        let time = Timespec::try_from(timeout).ok();
        match rustix::event::poll(&mut fds, time.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(errno) => return Err(os("poll of the compositor's socket", errno)),
        }
        match guard.read() {
            Ok(_) => {}
            Err(WaylandError::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(gone(connection, error)),
        }
    }
    Ok(dispatch(connection, queue)? || !has_sent)
}

/// Sends what is waiting. Says whether all of it went.
fn flush(connection: &Connection, queue: &EventQueue<State>) -> Result<bool> {
    match queue.flush() {
        Ok(()) => Ok(true),
        Err(WaylandError::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(gone(connection, error)),
    }
}

fn dispatch(connection: &Connection, queue: &mut EventQueue<State>) -> Result<bool> {
    let handled = queue.dispatch_pending(&mut State);
    handled
        .map(|events| events > 0)
        .map_err(|error| undispatched(connection, error))
}

/// A pair that the compositor has not listed would end the connection.
pub(crate) fn untaken(what: &str, listed: impl Iterator<Item = String>) -> lucarne::Error {
    let listed: Vec<String> = listed.collect();
    let accepted = if listed.is_empty() {
        "the compositor does not list this format".to_owned()
    } else {
        format!(
            "the compositor takes this format only as {}",
            listed.join(", ")
        )
    };
    unsupported(
        format!("a wl_buffer of {what}"),
        Requirement::other(accepted),
    )
}
