//! What the demo says at its end, for people and for programs.

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::fmt::{self, Display};

/// Everything worth knowing about a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Name of the Vulkan device.
    pub vulkan_device: String,
    /// Name and version of its driver.
    pub vulkan_driver: String,
    /// GL_RENDERER.
    pub gl_renderer: String,
    /// GL_VERSION.
    pub gl_version: String,
    /// "Wayland", "X11", or nothing when off screen.
    pub window: Option<String>,
    /// Why it was drawn off screen.
    pub off_screen: Option<String>,
    /// "dma-buf", "opaque-fd" or "host-memory".
    pub path: String,
    /// The rung of the ladder: 1 to 4.
    pub rung: u8,
    /// Whether the frames' memory is an emulated dma-buf.
    pub emulated: bool,
    /// Whether the fences are emulated sync_files: on a software device without a real /dev/udmabuf.
    pub emulated_fences: bool,
    /// Name of the pixel format.
    pub format: String,
    /// The modifier in words, or "implicit".
    pub modifier: String,
    /// The modifier's code; nothing where tiling is implicit.
    pub modifier_code: Option<String>,
    /// Who chose it, out of what.
    pub chosen_by: String,
    /// Every (format, modifier) that both sides can share as a dma-buf.
    pub common: Vec<Common>,
    /// Every better path that was not taken.
    pub refused: Vec<Refused>,
    /// Copies of a frame on its way, both sides together.
    pub copies_per_frame: u32,
    /// How the fence that gates the reader travels.
    pub acquire_fence: String,
    /// How the fence that gates the next writer travels.
    pub release_fence: String,
    /// Counted frames that were shown.
    pub frames: u32,
    /// Frames that were asked for.
    pub frames_wanted: u32,
    /// Buffers that were imported.
    pub imports: u64,
    /// Counted frames per second, without the time for saving pictures.
    pub fps: f64,
    /// Milliseconds of this thread per frame.
    pub ms_per_frame: Milliseconds,
    /// The PNG files.
    pub images: Vec<String>,
}

/// A format and a modifier that both sides know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Common {
    /// The format's name.
    pub format: String,
    /// The modifier in words.
    pub modifier: String,
}

/// A rung that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its memory path.
    pub path: String,
    /// Its number.
    pub rung: u8,
    /// Why not.
    pub reason: String,
}

/// Where a frame's time goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Milliseconds {
    /// Recording and submitting in Vulkan, until its fence is there.
    pub vulkan: f64,
    /// Passing the frame on: turns, import cache, waiting for the fence.
    pub hand_off: f64,
    /// Drawing in OpenGL, until its fence is there.
    pub gl: f64,
}

const TITLE: Style = Style::new().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();

impl Report {
    fn write_sides(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, driver) = (&self.vulkan_device, &self.vulkan_driver);
        line(f, "Vulkan", format_args!("{device}, {driver}"))?;
        let (renderer, version) = (&self.gl_renderer, &self.gl_version);
        line(f, "OpenGL", format_args!("{renderer}, {version}"))?;
        let off_screen = self.off_screen.as_deref().unwrap_or("--no-window");
        match &self.window {
            Some(system) => line(
                f,
                "shown",
                format_args!("in a window on {system}, at most 60 frames per second"),
            ),
            None => line(f, "shown", format_args!("off screen: {off_screen}")),
        }
    }

    fn write_agreement(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "common", self.common_in_words())?;
        line(f, "format", &self.format)?;
        line(
            f,
            "modifier",
            format_args!("{}; {}", self.modifier, self.chosen_by),
        )?;
        let mark = note(self.emulated, "emulated: this machine has no /dev/udmabuf");
        let (path, rung) = (&self.path, self.rung);
        line(
            f,
            "path",
            format_args!("{TITLE}{path}{TITLE:#}, rung {rung} of 4{mark}"),
        )?;
        // The two rungs of dma-bufs are often refused for one reason.
        let alike = |a: &Refused, b: &Refused| (&a.path, &a.reason) == (&b.path, &b.reason);
        let mut name = "refused";
        for rungs in self.refused.chunk_by(alike) {
            let numbers: Vec<String> = rungs.iter().map(|no| no.rung.to_string()).collect();
            let Refused { path, reason, .. } = &rungs[0];
            line(
                f,
                name,
                format_args!("rung {}, {path}: {reason}", numbers.join(" and ")),
            )?;
            name = "";
        }
        line(
            f,
            "copies",
            format_args!("{} per frame", self.copies_per_frame),
        )?;
        let mark = note(self.emulated_fences, "emulated");
        let (acquire, release) = (&self.acquire_fence, &self.release_fence);
        line(
            f,
            "fences",
            format_args!("to the reader {acquire}; back to the writer {release}{mark}"),
        )
    }

    fn write_results(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (frames, wanted) = (self.frames, self.frames_wanted);
        line(
            f,
            "imports",
            format_args!("{} for {} frames", self.imports, frames + 1),
        )?;
        let ended = if frames < wanted {
            format!(" of {wanted}, ended in the window")
        } else {
            String::new()
        };
        line(
            f,
            "speed",
            format_args!("{:.1} frames per second, {frames} frames{ended}", self.fps),
        )?;
        let Milliseconds {
            vulkan,
            hand_off,
            gl,
        } = self.ms_per_frame;
        let times = format_args!("Vulkan {vulkan:.2} ms, hand-off {hand_off:.2} ms, GL {gl:.2} ms");
        line(f, "per frame", times)?;
        let mut name = "pictures";
        for image in &self.images {
            line(f, name, image)?;
            name = "";
        }
        Ok(())
    }

    /// The common set by modifier: there are many formats and few modifiers.
    fn common_in_words(&self) -> String {
        let mut modifiers: Vec<&str> = self.common.iter().map(|c| c.modifier.as_str()).collect();
        modifiers.sort_unstable();
        modifiers.dedup();
        let of = |modifier: &str| {
            let formats = self.common.iter().filter(|c| c.modifier == modifier);
            let names: Vec<&str> = formats.map(|c| c.format.as_str()).collect();
            format!("{modifier} for {}", names.join(" "))
        };
        if modifiers.is_empty() {
            "no (format, modifier) as a dma-buf".to_owned()
        } else {
            modifiers.into_iter().map(of).collect::<Vec<_>>().join("; ")
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}Rendered in Vulkan, shown in OpenGL{TITLE:#}")?;
        self.write_sides(f)?;
        self.write_agreement(f)?;
        self.write_results(f)
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: impl Display) -> fmt::Result {
    writeln!(f, "  {name:<10}{text}")
}

fn note(needed: bool, text: &str) -> String {
    if needed {
        format!(" {NOTE}({text}){NOTE:#}")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            vulkan_device: "llvmpipe".into(),
            vulkan_driver: "Mesa".into(),
            gl_renderer: "llvmpipe".into(),
            gl_version: "OpenGL ES 3.2".into(),
            window: None,
            off_screen: Some("no display".into()),
            path: "dma-buf".into(),
            rung: 2,
            emulated: true,
            emulated_fences: true,
            format: "XRGB8888".into(),
            modifier: "LINEAR".into(),
            modifier_code: Some("0x0000000000000000".into()),
            chosen_by: "the driver".into(),
            common: vec![
                Common {
                    format: "XRGB8888".into(),
                    modifier: "LINEAR".into(),
                },
                Common {
                    format: "RGB565".into(),
                    modifier: "LINEAR".into(),
                },
            ],
            refused: (1..=2)
                .map(|rung| Refused {
                    path: "dma-buf".into(),
                    rung,
                    reason: "no tiling".into(),
                })
                .collect(),
            copies_per_frame: 0,
            acquire_fence: "sync_file".into(),
            release_fence: "sync_file".into(),
            frames: 3,
            frames_wanted: 3,
            imports: 3,
            fps: 30.0,
            ms_per_frame: Milliseconds {
                vulkan: 20.0,
                hand_off: 0.1,
                gl: 9.0,
            },
            images: vec!["frame-000.png".into()],
        }
    }

    #[test]
    fn people_are_told_what_was_emulated_and_refused() {
        let text = anstream::adapter::strip_str(&report().to_string()).to_string();
        for line in [
            "path      dma-buf, rung 2 of 4 (emulated: this machine has no /dev/udmabuf)",
            "refused   rung 1 and 2, dma-buf: no tiling",
            "fences    to the reader sync_file; back to the writer sync_file (emulated)",
            "common    LINEAR for XRGB8888 RGB565",
            "imports   3 for 4 frames",
            "shown     off screen: no display",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        let mut native = report();
        (native.emulated, native.emulated_fences) = (false, false);
        assert!(!native.to_string().contains("emulated"));
    }

    #[test]
    fn programs_find_the_promised_keys() {
        let json = serde_json::to_value(report()).unwrap();
        for key in [
            "vulkan_device",
            "gl_renderer",
            "path",
            "emulated",
            "format",
            "modifier",
            "frames",
            "imports",
            "copies_per_frame",
            "fps",
            "refused",
            "images",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["refused"][0]["reason"], "no tiling");
    }
}
