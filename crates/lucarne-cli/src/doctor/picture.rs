//! The pixels of a trial: handed from the child to the report, and shown beside what they must be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lucarne::FrameLayout;
use lucarne_conformance::{Pixels, Seen, TRIAL_EXTENT, TRIAL_FORMAT, pattern};
use serde::{Deserialize, Serialize};

use crate::pixels::{self, to_16_bits};
use crate::png_file;

/// Trials share two frames, and a late one a few more.
const MOST_FRAMES: u32 = 16;
const PIXELS: usize = TRIAL_EXTENT.width as usize * TRIAL_EXTENT.height as usize;

/// Red, green and blue of each pixel of a trial's frame, the top row first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Recorded", into = "Recorded")]
pub(super) struct Picture {
    /// Which frame it must be.
    frame: u32,
    rgb: Vec<[u8; 3]>,
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    frame: u32,
    size: [u32; 2],
    /// In base64.
    rgb: String,
}

impl From<Picture> for Recorded {
    fn from(picture: Picture) -> Self {
        Self {
            frame: picture.frame,
            size: [TRIAL_EXTENT.width, TRIAL_EXTENT.height],
            rgb: BASE64.encode(picture.rgb.as_flattened()),
        }
    }
}

/// What a child says, or a file: nothing of it is believed.
impl TryFrom<Recorded> for Picture {
    type Error = String;

    fn try_from(recorded: Recorded) -> Result<Self, String> {
        let [width, height] = recorded.size;
        if recorded.size != [TRIAL_EXTENT.width, TRIAL_EXTENT.height] {
            return Err(format!(
                "size is {width}x{height}, must be {TRIAL_EXTENT}, as trials have it"
            ));
        }
        let frame = recorded.frame;
        if frame >= MOST_FRAMES {
            return Err(format!("frame is {frame}, must be below {MOST_FRAMES}"));
        }
        let bytes = BASE64
            .decode(&recorded.rgb)
            .map_err(|error| format!("rgb is no base64: {error}"))?;
        let (rgb, rest) = bytes.as_chunks::<3>();
        if rgb.len() != PIXELS || !rest.is_empty() {
            return Err(format!(
                "rgb has {} bytes, must have {}",
                bytes.len(),
                3 * PIXELS
            ));
        }
        Ok(Self {
            frame,
            rgb: rgb.to_vec(),
        })
    }
}

impl Picture {
    /// What a trial has read, where it is as many pixels as there must be.
    pub(super) fn of(seen: &Seen) -> Option<Self> {
        let rgb = match &seen.pixels {
            Pixels::Bytes(bytes) => from_bytes(bytes)?,
            Pixels::Sampled(pixels) => pixels.iter().map(|pixel| sampled(*pixel)).collect(),
        };
        (rgb.len() == PIXELS).then_some(Self {
            frame: seen.frame,
            rgb,
        })
    }

    /// What it must be.
    pub(super) fn expected(&self) -> Self {
        let info = TRIAL_FORMAT.info();
        let bytes = info.map(|info| pattern::bytes(info, TRIAL_EXTENT, self.frame));
        Self {
            frame: self.frame,
            rgb: bytes
                .and_then(|bytes| from_bytes(&bytes))
                .unwrap_or_default(),
        }
    }

    /// Red where another pixel must be; the rest of what must be, pale.
    pub(super) fn difference(&self, expected: &Self) -> Self {
        let pale = |value: u8| 190 + value / 5;
        let pixels = self.rgb.iter().zip(&expected.rgb).map(|(got, must)| {
            if got == must {
                must.map(pale)
            } else {
                [208, 0, 32]
            }
        });
        Self {
            frame: self.frame,
            rgb: pixels.collect(),
        }
    }

    /// How many pixels differ.
    pub(super) fn wrong(&self, expected: &Self) -> usize {
        let pairs = self.rgb.iter().zip(&expected.rgb);
        pairs.filter(|(got, must)| got != must).count()
    }

    /// A PNG file, as an address that a page can hold.
    pub(super) fn data_uri(&self) -> String {
        let wide = |value: u8| u16::from(value) * 257;
        let pixels = self.rgb.iter().map(|pixel| {
            let [red, green, blue] = pixel.map(wide);
            [red, green, blue, u16::MAX]
        });
        let picture = pixels::Picture {
            extent: TRIAL_EXTENT,
            pixels: pixels.collect(),
            deep: false,
            alpha: false,
        };
        let mut file = Vec::new();
        // Into memory, and of the right size: it does not fail.
        let _written = png_file::encode(&picture, &mut file);
        format!("data:image/png;base64,{}", BASE64.encode(file))
    }
}

fn from_bytes(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    let (layout, _) = FrameLayout::linear(TRIAL_EXTENT, TRIAL_FORMAT).ok()?;
    let picture = pixels::picture(&layout, bytes)?;
    let narrow = |pixel: &[u16; 4]| [pixel[0], pixel[1], pixel[2]].map(to_8_bits);
    Some(picture.pixels.iter().map(narrow).collect())
}

fn sampled(pixel: [f32; 4]) -> [u8; 3] {
    [pixel[0], pixel[1], pixel[2]].map(|value| to_8_bits(to_16_bits(f64::from(value))))
}

fn to_8_bits(value: u16) -> u8 {
    u8::try_from((u32::from(value) + 128) / 257).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern_bytes(frame: u32) -> Vec<u8> {
        pattern::bytes(TRIAL_FORMAT.info().expect("known"), TRIAL_EXTENT, frame)
    }

    fn seen(frame: u32, bytes: Vec<u8>) -> Picture {
        let pixels = Pixels::Bytes(bytes);
        Picture::of(&Seen { frame, pixels }).expect("a whole frame")
    }

    #[test]
    fn what_is_right_is_what_must_be_whoever_reads_it() {
        let read = seen(1, pattern_bytes(1));
        let expected = read.expected();
        assert_eq!((&read, read.wrong(&expected)), (&expected, 0));
        let info = TRIAL_FORMAT.info().expect("known");
        let sampled = (0..TRIAL_EXTENT.height)
            .flat_map(|y| (0..TRIAL_EXTENT.width).map(move |x| [x, y]))
            .map(|[x, y]| pattern::expected(info, x, y, 1));
        let pixels = Pixels::Sampled(sampled.collect());
        assert_eq!(Picture::of(&Seen { frame: 1, pixels }), Some(expected));
    }

    #[test]
    fn a_wrong_pixel_is_shown_in_red() {
        let mut bytes = pattern_bytes(0);
        bytes[4 * 38] ^= 0x80;
        let read = seen(0, bytes);
        let expected = read.expected();
        assert_eq!(read.wrong(&expected), 1);
        let difference = read.difference(&expected);
        let red: Vec<usize> = (0..PIXELS)
            .filter(|index| difference.rgb[*index] == [208, 0, 32])
            .collect();
        assert_eq!(red, [38]);
    }

    #[test]
    fn what_a_child_says_is_checked() {
        let good = serde_json::to_value(seen(1, pattern_bytes(1))).expect("JSON");
        assert!(serde_json::from_value::<Picture>(good.clone()).is_ok());
        for (field, lie, complaint) in [
            ("size", serde_json::json!([9000, 9000]), "must be 37x21"),
            (
                "frame",
                serde_json::json!(4_000_000_000_u32),
                "must be below 16",
            ),
            (
                "rgb",
                serde_json::json!("AAAA"),
                "has 3 bytes, must have 2331",
            ),
            ("rgb", serde_json::json!("<script>"), "no base64"),
        ] {
            let mut bad = good.clone();
            bad[field] = lie;
            let error = serde_json::from_value::<Picture>(bad).expect_err(complaint);
            assert!(error.to_string().contains(complaint), "{error}");
        }
        let short = Pixels::Bytes(vec![0; 12]);
        let seen = Seen {
            frame: 0,
            pixels: short,
        };
        assert_eq!(Picture::of(&seen), None);
    }

    #[test]
    fn a_page_can_hold_it() {
        let uri = seen(0, pattern_bytes(0)).data_uri();
        let file = uri.strip_prefix("data:image/png;base64,").expect("a PNG");
        let file = BASE64.decode(file).expect("base64");
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("small")];
        reader.next_frame(&mut bytes).expect("pixels");
        assert_eq!(bytes.as_chunks::<3>().0, seen(0, pattern_bytes(0)).rgb);
    }
}
