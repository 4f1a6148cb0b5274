//! What the demo can be asked for.

use clap::Parser;
use lucarne::{Extent, Format};
use lucarne_examples::options::{PathChoice, extent};
use std::path::PathBuf;

/// Renders an animated scene in Vulkan and shows it in OpenGL, without copying a pixel where the machine allows it.
#[derive(Debug, Clone, Parser)]
#[command(name = "demo", version)]
pub struct Options {
    /// Width and height of the frames in pixels
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = extent)]
    pub size: Extent,
    /// How many frames to count; one more comes before them to warm up
    #[arg(long, value_name = "COUNT", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub frames: u32,
    /// How the pixels get from Vulkan to OpenGL
    #[arg(long, value_enum, default_value = "auto")]
    pub path: PathChoice,
    /// The pixel format by its DRM name, such as XRGB8888 or XB24
    #[arg(long, value_name = "NAME")]
    pub format: Option<Format>,
    /// The Vulkan device: a part of its name, or its number from 0
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
    /// Do without the emulated /dev/udmabuf: show what this machine does by itself
    #[arg(long)]
    pub no_emulation: bool,
    /// Render off screen even where there is a display
    #[arg(long)]
    pub no_window: bool,
    /// The folder for the pictures
    #[arg(long, value_name = "FOLDER", default_value = "target/demo")]
    pub output: PathBuf,
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,
    /// In a window, stop the animation at this frame until the window is closed
    #[arg(long, value_name = "FRAME", hide = true)]
    pub hold_at: Option<u32>,
}

impl Options {
    /// The numbers of the frames that become pictures: the first, two on the way, the last.
    #[must_use]
    pub fn pictures(&self) -> Vec<u32> {
        let mut numbers = vec![0, self.frames / 3, self.frames * 2 / 3, self.frames];
        numbers.dedup();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lucarne::MemoryPath;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("demo").chain(arguments.iter().copied()))
    }

    #[test]
    fn without_arguments_it_is_300_frames_at_720p() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.size, Extent::new(1280, 720));
        assert_eq!(options.pictures(), [0, 100, 200, 300]);
        assert_eq!(options.path.paths(), MemoryPath::ALL);
    }

    #[test]
    fn few_frames_make_few_pictures() {
        assert_eq!(parse(&["--frames", "1"]).unwrap().pictures(), [0, 1]);
        assert_eq!(parse(&["--frames", "3"]).unwrap().pictures(), [0, 1, 2, 3]);
        assert_eq!(
            parse(&["--frames", "100"]).unwrap().pictures(),
            [0, 33, 66, 100]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            &["--size", "big"][..],
            &["--size", "0x10"],
            &["--size", "99999999x1"],
            &["--frames", "0"],
            &["--path", "telepathy"],
            &["--format", "NOSUCH99"],
            &["--unknown"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
