//! The other process: this program again, which does one thing and says what came of it.

use crate::map::Mapped;
use crate::report::answer;
use crate::{EXTENT, posix, sysv};
use lucarne::{Fence, Frame, cpu};
use lucarne_examples::card;
use lucarne_examples::stream::{Result, TIMEOUT};
use lucarne_stream::{FrameTicket, TicketAccess, fetch_frame, open_frame};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A child that was told `PART:WHERE`.
pub(crate) struct Other {
    child: Child,
    orders: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Other {
    pub(crate) fn start(part: &str, place: impl std::fmt::Display) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--child", &format!("{part}:{place}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // It may be about to fetch something from here, which Yama allows to ancestors only.
        lucarne_stream::allow_fetch_by(child.id())?;
        let orders = child.stdin.take().ok_or("no input")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self {
            child,
            orders,
            lines,
        })
    }

    /// Lets it go on, and gives what it says; nothing where it died instead.
    pub(crate) fn says(&mut self) -> Result<String> {
        writeln!(self.orders, "go on")?;
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// How it ended.
    pub(crate) fn ended(mut self) -> Result<String> {
        drop(self.orders);
        let status = self.child.wait()?;
        Ok(match (status.signal(), status.code()) {
            (Some(signal), _) if signal == rustix::process::Signal::BUS.as_raw() => {
                "SIGBUS".to_owned()
            }
            (Some(signal), _) => format!("signal {signal}"),
            (None, code) => format!("exit status {}", code.unwrap_or(-1)),
        })
    }
}

/// Starts a child, and gives what it says.
pub(crate) fn ask(part: &str, place: impl std::fmt::Display) -> Result<String> {
    let mut other = Other::start(part, place)?;
    let said = other.says()?;
    match other.ended()?.as_str() {
        "exit status 0" => Ok(said),
        ended => Err(format!("the child that was to {part} ended with {ended}").into()),
    }
}

/// What a child does.
pub(crate) fn play(part: &str) -> Result<()> {
    let mut orders = std::io::stdin().lines();
    let mut wait = || orders.next().transpose();
    let _ = wait()?;
    let (part, place) = part.split_once(':').ok_or("PART:WHERE")?;
    let said = match part {
        "sysv" => compared(&sysv::read(place.parse()?)?),
        "posix" => compared(&posix::read(place)?),
        "posix-shrink" => posix::shrink(place),
        "fetch" => picture(&fetch_frame(&place.parse::<FrameTicket>()?)?)?,
        "open" => picture(&open_frame(
            &place.parse::<FrameTicket>()?,
            TicketAccess::Read,
        )?)?,
        "kernel-opens" => answer(rustix::fs::open(
            place,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )),
        // Maps a file, waits, and touches it: a shorter one by then is SIGBUS.
        "touch" => {
            let mapped = Mapped::new(File::open(place)?, 4096, false)?;
            say("mapped")?;
            let _ = wait()?;
            format!("read {}", mapped.read(0))
        }
        other => return Err(format!("no such part: {other}").into()),
    };
    say(&said)
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Whether these are the picture's bytes, every one.
fn compared(bytes: &[u8]) -> String {
    let same = bytes == card::draw(EXTENT);
    let word = if same {
        "the same picture"
    } else {
        "another picture"
    };
    word.to_owned()
}

fn picture(frame: &Frame) -> Result<String> {
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
    let image = device.import(frame)?;
    let mut bytes = vec![0; image.plane_bytes(0)];
    let _read = image.read(&Fence::Signaled, TIMEOUT, |rows| {
        rows.read_plane(0, &mut bytes)
    })?;
    Ok(compared(&bytes))
}
