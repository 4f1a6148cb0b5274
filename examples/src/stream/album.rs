//! What one end saw of a stream: pictures of chosen frames, and a report.

use super::options::StreamOptions;
use super::{Result, Stop, TICK, WatchOptions, say};
use crate::picture::Picture;
use lucarne_stream::{Consumer, ConsumerEvent, Error, Import, Received};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What one end did, for people and, with `--json`, for programs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the program is.
    pub program: String,
    /// Its device.
    pub device: String,
    /// The rung of the ladder that was agreed on last, which says the memory path.
    pub rung: String,
    /// The frames' format.
    pub format: String,
    /// How often this end copied each frame.
    pub copies_per_frame: u32,
    /// How many frames were sent or seen.
    pub frames: u64,
    /// How many frames a consumer left out.
    pub dropped: u64,
    /// How often frames were made anew, with another size for instance.
    pub generations: u64,
    /// How often a consumer lost its producer.
    pub lost: u64,
    /// Frames per second, from the first to the last.
    pub rate: f64,
    /// The pictures, by the numbers of their frames.
    pub pictures: Vec<(u64, PathBuf)>,
}

/// Keeps count of the frames, and pictures of those that were asked for.
#[derive(Debug)]
pub struct Album {
    options: StreamOptions,
    /// The picture of the last frame, where that was asked for.
    last: Option<(u64, Picture)>,
    keep_last: bool,
    most: u64,
    first_at: Option<Instant>,
    ended: bool,
    /// The producer is gone, and no other has come.
    waits: bool,
    report: Report,
}

impl Album {
    /// For the end `program`, which works with `device`.
    ///
    /// # Errors
    ///
    /// If the folder for the pictures cannot be made.
    pub fn new(program: &str, device: &str, options: &StreamOptions) -> Result<Self> {
        if !options.pictures.is_empty() {
            std::fs::create_dir_all(&options.output)?;
        }
        let report = Report {
            program: program.to_owned(),
            device: device.to_owned(),
            ..Report::default()
        };
        Ok(Self {
            options: options.clone(),
            last: None,
            keep_last: false,
            most: 0,
            first_at: None,
            ended: false,
            waits: false,
            report,
        })
    }

    /// For a consumer.
    ///
    /// # Errors
    ///
    /// As for [`Album::new`].
    pub fn of_consumer(program: &str, device: &str, options: &WatchOptions) -> Result<Self> {
        if options.last {
            std::fs::create_dir_all(&options.stream.output)?;
        }
        let mut album = Self::new(program, device, &options.stream)?;
        (album.keep_last, album.most) = (options.last, options.frames);
        Ok(album)
    }

    /// Whether there is more to see.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.ended && (self.most == 0 || self.report.frames < self.most)
    }

    /// Whether this frame's pixels are wanted.
    #[must_use]
    pub fn wants(&self, sequence: u64) -> bool {
        self.keep_last || self.options.pictures.contains(&sequence)
    }

    /// Counts a frame, and keeps its picture.
    ///
    /// # Errors
    ///
    /// If the picture cannot be written.
    pub fn keep(&mut self, sequence: u64, copies: u32, picture: Option<Picture>) -> Result<()> {
        self.first_at.get_or_insert_with(Instant::now);
        self.report.frames += 1;
        self.report.copies_per_frame = copies;
        if self.report.frames.is_multiple_of(100) {
            let Report { frames, rung, .. } = &self.report;
            say(&format!("frame {sequence}, {frames} so far; {rung}"));
        }
        let Some(picture) = picture else {
            return Ok(());
        };
        if self.options.pictures.contains(&sequence) {
            self.save(sequence, &picture)?;
        }
        if self.keep_last {
            self.last = Some((sequence, picture));
        }
        Ok(())
    }

    fn save(&mut self, sequence: u64, picture: &Picture) -> Result<()> {
        let path = file(&self.options.output, sequence);
        let saved = picture.save(&path);
        saved.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        self.report.pictures.push((sequence, path));
        Ok(())
    }

    /// A consumer's next frame; `None` while there is none, and once there are no more. What happens meanwhile is told: the
    /// frames may change, and the producer may go and come again.
    ///
    /// # Errors
    ///
    /// If the producer refused, or broke the protocol.
    pub fn next<I: Import>(
        &mut self,
        consumer: &mut Consumer<I>,
    ) -> Result<Option<Received<I::Image>>> {
        if self.waits && !self.reconnect(consumer)? {
            return Ok(None);
        }
        let received = consumer.receive(TICK);
        self.events(consumer);
        match received {
            Ok(received) => {
                self.report.dropped += received.dropped();
                Ok(Some(received))
            }
            Err(Error::Timeout { .. }) => Ok(None),
            Err(Error::Ended) => {
                self.ended = true;
                Ok(None)
            }
            Err(Error::PeerGone) => {
                self.report.lost += 1;
                say("the producer is gone; waiting for the next one");
                self.waits = true;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Looks whether there is a producer again.
    fn reconnect<I: Import>(&mut self, consumer: &mut Consumer<I>) -> Result<bool> {
        match consumer.reconnect() {
            Ok(()) => {
                say("connected again");
                self.waits = false;
            }
            Err(Error::NotFound { .. } | Error::PeerGone) => std::thread::sleep(TICK),
            Err(error) => return Err(error.into()),
        }
        Ok(!self.waits)
    }

    /// Takes note of what happened to the stream.
    pub fn events<I: Import>(&mut self, consumer: &mut Consumer<I>) {
        while let Some(event) = consumer.event() {
            self.event(event);
        }
    }

    /// Takes note of one thing that happened.
    pub fn event(&mut self, event: ConsumerEvent) {
        match event {
            ConsumerEvent::Generation {
                extent,
                format,
                rung,
                refused,
                needs_trust,
                ..
            } => {
                self.generation(&format!("{format}"), &format!("{rung}"));
                say(&format!("frames are {extent}, {format}, {rung}"));
                // Once is enough: a change of size changes nothing about it.
                if self.report.generations == 1 {
                    for refused in refused {
                        say(&format!("  not better: {refused}"));
                    }
                    if needs_trust {
                        say(
                            "  a program that trusts its producer may do better (ConsumerOptions::trust_producer)",
                        );
                    }
                }
            }
            ConsumerEvent::ImportFailed { reason, .. } => say(&format!("no import: {reason}")),
            ConsumerEvent::Paused => say("paused"),
            ConsumerEvent::Resumed => say("goes on"),
            ConsumerEvent::Ended => say("the stream has ended"),
            ConsumerEvent::Lost { reason } => say(&format!("lost: {reason}")),
            other => say(&format!("{other:?}")),
        }
    }

    /// Frames are made differently from now on.
    pub fn generation(&mut self, format: &str, rung: &str) {
        self.report.generations += 1;
        format.clone_into(&mut self.report.format);
        rung.clone_into(&mut self.report.rung);
    }

    /// Saves what is left, and prints the report.
    ///
    /// # Errors
    ///
    /// If something cannot be written, or a picture that was asked for never came; a program that was asked to end did not
    /// promise any.
    pub fn finish(mut self, stop: &Stop) -> Result<()> {
        if let Some((sequence, picture)) = self.last.take() {
            let known = self.report.pictures.iter().any(|(one, _)| *one == sequence);
            if !known {
                self.save(sequence, &picture)?;
            }
        }
        let seconds = self
            .first_at
            .map_or(0.0, |since| since.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "frames are fewer than 2^52")]
        let frames = self.report.frames as f64;
        self.report.rate = if seconds > 0.0 { frames / seconds } else { 0.0 };
        self.print()?;
        let seen = |wanted: &&u64| self.report.pictures.iter().any(|(one, _)| one == *wanted);
        match self.options.pictures.iter().find(|wanted| !seen(wanted)) {
            Some(missed) if !stop.asked() => {
                Err(format!("frame {missed} never came, so there is no picture of it").into())
            }
            _ => Ok(()),
        }
    }

    fn print(&self) -> Result<()> {
        let mut out = io::stdout().lock();
        let report = &self.report;
        if self.options.json {
            writeln!(out, "{}", serde_json::to_string(report)?)?;
            return Ok(());
        }
        writeln!(out, "{}, {}", report.program, report.device)?;
        writeln!(out, "  path      {}, {}", report.rung, report.format)?;
        writeln!(out, "  copies    {} per frame", report.copies_per_frame)?;
        let (frames, dropped) = (report.frames, report.dropped);
        let (generations, lost) = (report.generations, report.lost);
        writeln!(
            out,
            "  frames    {frames}, {dropped} left out, {:.1} per second",
            report.rate
        )?;
        writeln!(
            out,
            "  made anew {generations} times, producer lost {lost} times"
        )?;
        for (_, path) in &report.pictures {
            writeln!(out, "  picture   {}", path.display())?;
        }
        Ok(())
    }
}

/// Where the picture of a frame is saved.
#[must_use]
pub(super) fn file(folder: &Path, sequence: u64) -> PathBuf {
    folder.join(format!("frame-{sequence:06}.png"))
}
