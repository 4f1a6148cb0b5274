//! What the ends of a stream can be asked for.

use super::{Result, Stop, TICK, say};
use crate::options::{PathChoice, extent};
use clap::{Args, Parser};
use lucarne::{Extent, Offer, Request, Usage};
use lucarne_stream::{self as stream, Consumer, ConsumerOptions, Delivery, Error, Import};
use std::path::PathBuf;
use std::time::Duration;

/// Which stream, and which of its frames become pictures.
#[derive(Debug, Clone, Args)]
pub struct StreamOptions {
    /// The stream's name
    #[arg(long, default_value = "scene")]
    pub name: String,
    /// The folder of the stream's socket [default: $XDG_RUNTIME_DIR/lucarne]
    #[arg(long, value_name = "FOLDER")]
    pub directory: Option<PathBuf>,
    /// Save the frames of these numbers, such as 1,50,100
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub pictures: Vec<u64>,
    /// The folder for the pictures
    #[arg(long, value_name = "FOLDER", default_value = "target/stream")]
    pub output: PathBuf,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Draws a scene in Vulkan and publishes it as a stream. Any number of consumers may come and go; Ctrl-C ends it.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct ProducerOptions {
    /// Which stream, and which pictures
    #[command(flatten)]
    pub stream: StreamOptions,
    /// Width and height of the frames in pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "640x360", value_parser = extent)]
    pub size: Extent,
    /// End after so many frames; 0 is never
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub frames: u64,
    /// Frames per second; 0 is as many as can be
    #[arg(long, value_name = "RATE", default_value_t = 30, value_parser = rate)]
    pub fps: u32,
    /// Change between the size and half of it after so many frames
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub resize_every: Option<u64>,
    /// Draw nothing before so many consumers watch
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub wait_for: usize,
    /// How many images there are
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub slots: usize,
    /// How long a consumer may keep all slots before it is cut off, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub patience: u64,
    /// How the pixels get to the consumers
    #[arg(long, value_enum, default_value = "auto")]
    pub path: PathChoice,
    /// The Vulkan device: a part of its name
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

fn rate(text: &str) -> std::result::Result<u32, String> {
    let rate = text.parse();
    rate.map_err(|_| format!("a whole number of frames per second, 0 to {}", u32::MAX))
}

impl ProducerOptions {
    /// Frames of this size, on the path that was asked for.
    #[must_use]
    pub fn request(&self, extent: Extent) -> Request {
        let request = Request::new(extent).paths(&self.path.paths());
        request.usage(super::PRODUCER_USAGE, Usage::SAMPLE)
    }

    /// How the stream is made.
    #[must_use]
    pub fn options(&self) -> stream::ProducerOptions {
        let options = stream::ProducerOptions::of(self.request(self.size))
            .slots(self.slots)
            .patience(Duration::from_millis(self.patience));
        match &self.stream.directory {
            Some(folder) => options.directory(folder),
            None => options,
        }
    }

    /// The size of the frames after so many of them.
    #[must_use]
    pub fn size_after(&self, sent: u64) -> Extent {
        let half = |side: u32| (side / 2).max(1);
        match self.resize_every {
            Some(every) if (sent / every) % 2 == 1 => {
                Extent::new(half(self.size.width), half(self.size.height))
            }
            _ => self.size,
        }
    }

    /// How long one frame is shown.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_secs(1)
            .checked_div(self.fps)
            .unwrap_or_default()
    }
}

/// Watches a stream: waits for its producer, follows it through changes of size, and finds the next one when it is gone.
/// Ctrl-C ends it.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct WatchOptions {
    /// Which stream, and which pictures
    #[command(flatten)]
    pub stream: StreamOptions,
    /// Save the last frame, too
    #[arg(long)]
    pub last: bool,
    /// Look at every frame; without this, late ones are left out
    #[arg(long)]
    pub every: bool,
    /// End after so many frames; 0 is when the stream ends
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub frames: u64,
}

impl WatchOptions {
    /// Connects, as soon as there is a stream of the name; `None` if the program was asked to end before.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from connecting to a stream that is there.
    pub fn connect<I: Import>(
        &self,
        (offer, usage): (&Offer, Usage),
        stop: &Stop,
        import: impl Fn() -> I,
    ) -> Result<Option<Consumer<I>>> {
        let delivery = if self.every {
            Delivery::Every
        } else {
            Delivery::Latest
        };
        let mut options = ConsumerOptions::new(delivery).usage(usage);
        if let Some(folder) = &self.stream.directory {
            options = options.directory(folder);
        }
        let name = &self.stream.name;
        let mut told = false;
        while !stop.asked() {
            match Consumer::connect(name, offer, options.clone(), import()) {
                Ok(consumer) => return Ok(Some(consumer)),
                Err(Error::NotFound { .. }) if !told => {
                    say(&format!("waiting for a producer of {name:?}"));
                    told = true;
                }
                Err(Error::NotFound { .. }) => std::thread::sleep(TICK),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_changes_there_and_back() {
        let options = ["producer", "--size", "8x5", "--resize-every", "3"];
        let options = ProducerOptions::try_parse_from(options).unwrap();
        let widths: Vec<u32> = (0..8).map(|n| options.size_after(n).width).collect();
        assert_eq!(widths, [8, 8, 8, 4, 4, 4, 8, 8]);
    }

    #[test]
    fn a_rate_of_zero_is_no_pause() {
        let options = ProducerOptions::try_parse_from(["producer", "--fps", "0"]).unwrap();
        assert_eq!(options.period(), Duration::ZERO);
    }

    #[test]
    fn a_rate_that_is_none_is_told_what_would_be_one() {
        for rate in ["nan", "-1", "29.97"] {
            let asked = ProducerOptions::try_parse_from(["producer", &format!("--fps={rate}")]);
            let error = asked.unwrap_err().to_string();
            assert!(error.contains("a whole number of frames"), "{error}");
        }
    }
}
