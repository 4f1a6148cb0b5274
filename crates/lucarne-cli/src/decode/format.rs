//! What is known about a format.

use lucarne::{Channel, ColorKind, Component, Format, FormatPlane};
use serde::Serialize;

use crate::Failure;
use crate::output::{Output, bold};

/// A format, for people and programs.
#[derive(Debug, Serialize)]
pub(crate) struct FormatFacts {
    pub(crate) code: String,
    pub(crate) name: Option<String>,
    characters: String,
    family: Option<&'static str>,
    planes: Vec<PlaneFacts>,
    vulkan: Option<String>,
    /// `internalFormat`, `format` and `type` of OpenGL ES.
    opengl: Option<[String; 3]>,
    /// Whether OpenGL puts red and blue in their places with a swizzle.
    swizzled: bool,
    twin: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlaneFacts {
    block_bytes: u8,
    /// Samples in a block, from left to right and from top to bottom.
    block: [u8; 2],
    /// Pixels that share a sample, from left to right and from top to bottom.
    subsampling: [u8; 2],
    /// From the most significant bits down.
    channels: String,
    /// Which channel each byte holds, in memory order; empty where channels share bytes.
    bytes: Vec<String>,
    alone: Option<String>,
}

impl FormatFacts {
    pub(crate) fn of(format: Format) -> Self {
        let info = format.info();
        let planes = info.map_or(&[][..], |info| info.planes);
        let gl = info.and_then(|info| info.gl);
        let twin = format.alpha_twin().or_else(|| format.opaque_twin());
        Self {
            code: format!("{:#010x}", format.fourcc()),
            name: format.name().map(str::to_owned),
            characters: characters(format),
            family: info.map(|info| match info.color {
                ColorKind::Rgb => "red, green, blue",
                ColorKind::Yuv => "Y'CbCr",
                _ => "other",
            }),
            planes: planes.iter().map(PlaneFacts::of).collect(),
            vulkan: info
                .and_then(|info| info.vk)
                .map(|raw| format!("VK_FORMAT_{:?}", ash::vk::Format::from_raw(raw))),
            opengl: gl.map(|gl| {
                [gl.internal_format, gl.format, gl.kind].map(|name| format!("{name:#06x}"))
            }),
            swizzled: gl.is_some_and(|gl| gl.swizzle_bgra()),
            twin: twin.and_then(|twin| twin.name()).map(str::to_owned),
        }
    }

    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let name = self.name.as_deref().unwrap_or("(no name)");
        output.line(format_args!(
            "{} is a format: {name}",
            bold(&self.characters)
        ))?;
        output.field("code", &self.code)?;
        let Some(family) = self.family else {
            return output.field("known", "no: only the code");
        };
        output.field("holds", family)?;
        for (index, plane) in self.planes.iter().enumerate() {
            output.field(&format!("plane {index}"), plane.text())?;
        }
        output.field("Vulkan", self.vulkan.as_deref().unwrap_or("no such format"))?;
        let gl = self.opengl.as_ref().map_or_else(
            || "no such format: share it plane by plane".to_owned(),
            |[internal, format, kind]| {
                let swizzle = if self.swizzled {
                    ", red and blue exchanged by a swizzle"
                } else {
                    ""
                };
                format!("internal format {internal}, format {format}, type {kind}{swizzle}")
            },
        );
        output.field("OpenGL ES", gl)?;
        if let Some(twin) = &self.twin {
            output.field(
                "twin",
                format_args!("{twin}: the same with alpha and padding exchanged"),
            )?;
        }
        Ok(())
    }
}

/// The four characters of the code; what cannot be printed is a question mark.
fn characters(format: Format) -> String {
    let bytes = format.fourcc().to_le_bytes();
    bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect()
}

impl PlaneFacts {
    fn of(plane: &FormatPlane) -> Self {
        let channels: Vec<String> = plane.channels.iter().map(channel).collect();
        Self {
            block_bytes: plane.block_bytes,
            block: [plane.block_width, plane.block_height],
            subsampling: [plane.horizontal_subsampling, plane.vertical_subsampling],
            channels: channels.join(" "),
            bytes: in_memory(plane),
            alone: plane
                .single
                .and_then(|single| single.name())
                .map(str::to_owned),
        }
    }

    fn text(&self) -> String {
        let [wide, high] = self.subsampling;
        let unit = if self.block_bytes == 1 {
            "byte"
        } else {
            "bytes"
        };
        let mut text = format!("{} {unit}", self.block_bytes);
        if self.block != [1, 1] {
            text += &format!(" for {}x{} samples", self.block[0], self.block[1]);
        }
        text += &format!(", high bits first: {}", self.channels);
        if !self.bytes.is_empty() {
            text += &format!("\nin memory: {}", self.bytes.join(", "));
        }
        if self.subsampling != [1, 1] {
            text += &format!("\none sample for {wide}x{high} pixels");
        }
        if let Some(alone) = &self.alone
            && self.subsampling != [1, 1]
        {
            text += &format!("\nimported alone as {alone}");
        }
        text
    }
}

fn channel(channel: &Channel) -> String {
    format!("{}{}", name(channel.component), channel.bits)
}

fn name(component: Component) -> &'static str {
    match component {
        Component::Red => "R",
        Component::Green => "G",
        Component::Blue => "B",
        Component::Alpha => "A",
        Component::Luma => "Y",
        Component::Cb => "Cb",
        Component::Cr => "Cr",
        _ => "X",
    }
}

fn in_memory(plane: &FormatPlane) -> Vec<String> {
    let mut channels: Vec<&Channel> = plane.channels.iter().collect();
    if channels
        .iter()
        .any(|channel| channel.bits != 8 || channel.shift % 8 != 0)
    {
        return Vec::new();
    }
    channels.sort_by_key(|channel| channel.shift);
    channels
        .iter()
        .map(|channel| name(channel.component).to_owned())
        .collect()
}
