//! The parameters that nodes negotiate with, written and read.

use std::io::Cursor;

use lucarne::color::ColorDescription;
use lucarne::{Extent, Format, MAX_EXTENT, Tiling};
use pipewire::spa::param::ParamType;
use pipewire::spa::param::format::{FormatProperties, MediaSubtype, MediaType};
use pipewire::spa::param::video::VideoFormat;
use pipewire::spa::pod::deserialize::PodDeserializer;
use pipewire::spa::pod::serialize::PodSerializer;
use pipewire::spa::pod::{ChoiceValue, Object, Pod, Property, PropertyFlags, Value};
use pipewire::spa::sys;
use pipewire::spa::utils::{Choice, ChoiceEnum, ChoiceFlags, Fraction, Id, Rectangle, SpaTypes};

use crate::convert::{self, Colors};

/// How large frames may be: a producer's size is fixed, a consumer takes what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Fixed(Extent),
    UpTo { preferred: Extent, most: Extent },
}

/// One `EnumFormat`: a format, and with modifiers where it is for dma-bufs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) format: Format,
    /// Empty for shared memory.
    pub(crate) tilings: Vec<Tiling>,
    /// The one modifier that was chosen: it takes no more fixation.
    pub(crate) fixed: bool,
    pub(crate) size: Size,
    pub(crate) color: Option<ColorDescription>,
}

/// A serialized parameter.
pub(crate) struct Param(Vec<u8>);

impl Param {
    fn of(object: Object) -> Self {
        let written = PodSerializer::serialize(Cursor::new(Vec::new()), &Value::Object(object));
        // A vector takes every byte that it is given.
        Self(written.map_or_else(|_| Vec::new(), |(bytes, _)| bytes.into_inner()))
    }

    /// `None` only where nothing could be written.
    pub(crate) fn pod(&self) -> Option<&Pod> {
        Pod::from_bytes(&self.0)
    }
}

fn choice<T>(value: ChoiceEnum<T>) -> Choice<T>
where
    T: pipewire::spa::pod::CanonicalFixedSizedPod,
{
    Choice(ChoiceFlags::empty(), value)
}

fn id(key: FormatProperties, value: u32) -> Property {
    Property::new(key.as_raw(), Value::Id(Id(value)))
}

fn rectangle(extent: Extent) -> Rectangle {
    Rectangle {
        width: extent.width,
        height: extent.height,
    }
}

/// What a modifier's 64 bits are in a pod, which has signed ones only.
fn long(tiling: Tiling) -> i64 {
    tiling.code().cast_signed()
}

impl Candidate {
    /// `None` for a format that PipeWire has no name for.
    pub(crate) fn to_param(&self) -> Option<Param> {
        let format = convert::to_video_format(self.format)?;
        let mut properties = vec![
            id(FormatProperties::MediaType, MediaType::Video.as_raw()),
            id(FormatProperties::MediaSubtype, MediaSubtype::Raw.as_raw()),
            id(FormatProperties::VideoFormat, format.as_raw()),
        ];
        properties.extend(self.modifiers());
        properties.push(self.size());
        properties.push(framerate());
        properties.extend(self.colors());
        Some(Param::of(Object {
            type_: SpaTypes::ObjectParamFormat.as_raw(),
            id: ParamType::EnumFormat.as_raw(),
            properties,
        }))
    }

    fn modifiers(&self) -> Option<Property> {
        let first = long(*self.tilings.first()?);
        let key = FormatProperties::VideoModifier.as_raw();
        Some(if self.fixed {
            Property {
                flags: PropertyFlags::MANDATORY,
                ..Property::new(key, Value::Long(first))
            }
        } else {
            let all = ChoiceEnum::Enum {
                default: first,
                alternatives: self.tilings.iter().copied().map(long).collect(),
            };
            Property {
                flags: PropertyFlags::MANDATORY | PropertyFlags::DONT_FIXATE,
                ..Property::new(key, Value::Choice(ChoiceValue::Long(choice(all))))
            }
        })
    }

    fn size(&self) -> Property {
        let value = match self.size {
            Size::Fixed(extent) => Value::Rectangle(rectangle(extent)),
            Size::UpTo { preferred, most } => {
                Value::Choice(ChoiceValue::Rectangle(choice(ChoiceEnum::Range {
                    default: rectangle(preferred),
                    min: rectangle(Extent::new(1, 1)),
                    max: rectangle(most),
                })))
            }
        };
        Property::new(FormatProperties::VideoSize.as_raw(), value)
    }

    fn colors(&self) -> Vec<Property> {
        let Some(color) = &self.color else {
            return Vec::new();
        };
        let colors = convert::to_colors(color);
        color_keys()
            .into_iter()
            .zip([
                colors.range,
                colors.matrix,
                colors.transfer,
                colors.primaries,
            ])
            .filter_map(|(key, value)| Some(id(key, value?)))
            .collect()
    }
}

fn color_keys() -> [FormatProperties; 4] {
    [
        FormatProperties::VideoColorRange,
        FormatProperties::VideoColorMatrix,
        FormatProperties::VideoTransferFunction,
        FormatProperties::VideoColorPrimaries,
    ]
}

/// Any, and 0 (as it comes) where the peer has no wish.
fn framerate() -> Property {
    let rates = ChoiceEnum::Range {
        default: Fraction { num: 0, denom: 1 },
        min: Fraction { num: 0, denom: 1 },
        max: Fraction {
            num: 1000,
            denom: 1,
        },
    };
    Property::new(
        FormatProperties::VideoFramerate.as_raw(),
        Value::Choice(ChoiceValue::Fraction(choice(rates))),
    )
}

/// What a negotiated `Format` says of its modifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Modifiers {
    /// There is none: shared memory.
    None,
    /// The allocator chooses among these.
    Open(Vec<Tiling>),
    /// This one was chosen.
    Fixed(Tiling),
}

/// A `Format`, or an `EnumFormat`, that a peer or the daemon sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VideoInfo {
    /// All that it names; one in a negotiated `Format`.
    pub(crate) formats: Vec<VideoFormat>,
    pub(crate) modifiers: Modifiers,
    /// The negotiated one, or the largest that would do.
    pub(crate) extent: Extent,
    pub(crate) colors: Colors,
}

impl VideoInfo {
    /// `None` for what is no raw video, or no object at all.
    pub(crate) fn read(pod: &Pod) -> Option<Self> {
        let (_, value) = PodDeserializer::deserialize_any_from(pod.as_bytes()).ok()?;
        let Value::Object(object) = value else {
            return None;
        };
        let find = |key: FormatProperties| {
            let mut properties = object.properties.iter();
            properties.find(|property| property.key == key.as_raw())
        };
        let number = |key| find(key).and_then(|property| ids(&property.value).first().copied());
        if number(FormatProperties::MediaType)? != MediaType::Video.as_raw()
            || number(FormatProperties::MediaSubtype)? != MediaSubtype::Raw.as_raw()
        {
            return None;
        }
        let formats = ids(&find(FormatProperties::VideoFormat)?.value);
        let [range, matrix, transfer, primaries] = color_keys().map(number);
        Some(Self {
            formats: formats.into_iter().map(VideoFormat::from_raw).collect(),
            modifiers: find(FormatProperties::VideoModifier).map_or(Modifiers::None, modifiers),
            extent: find(FormatProperties::VideoSize)
                .and_then(|property| largest(&property.value))
                .unwrap_or(Extent::new(MAX_EXTENT, MAX_EXTENT)),
            colors: Colors {
                range,
                matrix,
                transfer,
                primaries,
            },
        })
    }
}

/// Each once, the default first.
fn ids(value: &Value) -> Vec<u32> {
    match value {
        Value::Id(one) => vec![one.0],
        Value::Choice(ChoiceValue::Id(Choice(_, all))) => each_once(values(all))
            .into_iter()
            .map(|one| one.0)
            .collect(),
        _ => Vec::new(),
    }
}

fn values<T>(all: &ChoiceEnum<T>) -> Vec<T>
where
    T: Copy + pipewire::spa::pod::CanonicalFixedSizedPod,
{
    match all {
        ChoiceEnum::None(one) => vec![*one],
        ChoiceEnum::Range { default, .. } | ChoiceEnum::Step { default, .. } => vec![*default],
        ChoiceEnum::Enum {
            default,
            alternatives: others,
        }
        | ChoiceEnum::Flags {
            default,
            flags: others,
        } => std::iter::once(*default)
            .chain(others.iter().copied())
            .collect(),
    }
}

fn each_once<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

fn modifiers(property: &Property) -> Modifiers {
    let codes = match &property.value {
        Value::Long(one) => vec![*one],
        Value::Choice(ChoiceValue::Long(Choice(_, all))) => each_once(values(all)),
        _ => Vec::new(),
    };
    let tilings: Vec<Tiling> = codes
        .into_iter()
        .map(|code| Tiling::from_code(code.cast_unsigned()))
        .collect();
    match tilings[..] {
        [] => Modifiers::None,
        [one] if !property.flags.contains(PropertyFlags::DONT_FIXATE) => Modifiers::Fixed(one),
        _ => Modifiers::Open(tilings),
    }
}

fn largest(value: &Value) -> Option<Extent> {
    let extent = |one: &Rectangle| Extent::new(one.width, one.height);
    match value {
        Value::Rectangle(one) => Some(extent(one)),
        Value::Choice(ChoiceValue::Rectangle(Choice(_, all))) => match all {
            ChoiceEnum::Range { max, .. } | ChoiceEnum::Step { max, .. } => Some(extent(max)),
            other => values(other)
                .iter()
                .max_by_key(|one| u64::from(one.width) * u64::from(one.height))
                .map(extent),
        },
        _ => None,
    }
}

/// How the buffers of a node are to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffers {
    pub(crate) least: i32,
    pub(crate) most: i32,
    /// `None`: as many as the other side says.
    pub(crate) blocks: Option<i32>,
    /// In bytes, of a block; `None` where the other side knows.
    pub(crate) size: Option<i32>,
    pub(crate) stride: Option<i32>,
    /// `SPA_DATA_DmaBuf` or `SPA_DATA_MemFd`.
    pub(crate) kind: u32,
}

impl Buffers {
    pub(crate) fn to_param(self) -> Param {
        let int = |key, value| Property::new(key, Value::Int(value));
        let number = ChoiceEnum::Range {
            default: self.most,
            min: self.least,
            max: self.most,
        };
        let mut properties = vec![Property::new(
            sys::SPA_PARAM_BUFFERS_buffers,
            Value::Choice(ChoiceValue::Int(choice(number))),
        )];
        let sizes = [
            (sys::SPA_PARAM_BUFFERS_blocks, self.blocks),
            (sys::SPA_PARAM_BUFFERS_size, self.size),
            (sys::SPA_PARAM_BUFFERS_stride, self.stride),
        ];
        properties.extend(
            sizes
                .into_iter()
                .filter_map(|(key, value)| Some(int(key, value?))),
        );
        let kinds = ChoiceEnum::Flags {
            default: 1_i32 << self.kind,
            flags: Vec::new(),
        };
        properties.push(Property::new(
            sys::SPA_PARAM_BUFFERS_dataType,
            Value::Choice(ChoiceValue::Int(choice(kinds))),
        ));
        Param::of(Object {
            type_: SpaTypes::ObjectParamBuffers.as_raw(),
            id: ParamType::Buffers.as_raw(),
            properties,
        })
    }
}

/// A wish for metadata of `bytes` beside each buffer.
pub(crate) fn meta(kind: u32, bytes: usize) -> Param {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    Param::of(Object {
        type_: SpaTypes::ObjectParamMeta.as_raw(),
        id: ParamType::Meta.as_raw(),
        properties: vec![
            Property::new(sys::SPA_PARAM_META_type, Value::Id(Id(kind))),
            Property::new(sys::SPA_PARAM_META_size, Value::Int(bytes)),
        ],
    })
}

#[cfg(test)]
mod tests {
    use lucarne::Modifier;

    use super::*;

    const EXTENT: Extent = Extent::new(640, 480);

    fn tilings(codes: &[u64]) -> Vec<Tiling> {
        codes.iter().map(|code| Tiling::from_code(*code)).collect()
    }

    fn candidate(tilings: Vec<Tiling>, fixed: bool) -> Candidate {
        Candidate {
            format: Format::NV12,
            tilings,
            fixed,
            size: Size::Fixed(EXTENT),
            color: Some(ColorDescription::VIDEO),
        }
    }

    fn back(candidate: &Candidate) -> VideoInfo {
        let param = candidate.to_param().expect("PipeWire has NV12");
        VideoInfo::read(param.pod().expect("written")).expect("raw video")
    }

    #[test]
    fn a_format_is_read_as_it_was_written() {
        // The second one has its highest bit set, which a pod's signed numbers must keep.
        let all = tilings(&[0, 0x0100_0000_0000_0004, 0xff00_0000_0000_0001]);
        let info = back(&candidate(all.clone(), false));
        assert_eq!(info.formats, [VideoFormat::NV12]);
        assert_eq!(info.modifiers, Modifiers::Open(all));
        assert_eq!(info.extent, EXTENT);
        assert_eq!(info.colors, convert::to_colors(&ColorDescription::VIDEO));

        let chosen = Tiling::Explicit(Modifier::LINEAR);
        let info = back(&candidate(vec![chosen], true));
        assert_eq!(info.modifiers, Modifiers::Fixed(chosen));

        assert_eq!(
            back(&candidate(Vec::new(), false)).modifiers,
            Modifiers::None
        );
    }

    /// One modifier is a choice of one until the allocator has said so: it may fail to allocate.
    #[test]
    fn a_list_of_one_is_open() {
        let one = tilings(&[0]);
        let info = back(&candidate(one.clone(), false));
        assert_eq!(info.modifiers, Modifiers::Open(one));
    }

    #[test]
    fn what_is_no_raw_video_is_nothing() {
        let buffers = Buffers {
            least: 2,
            most: 3,
            blocks: Some(1),
            size: None,
            stride: None,
            kind: sys::SPA_DATA_MemFd,
        };
        let param = buffers.to_param();
        assert_eq!(VideoInfo::read(param.pod().expect("written")), None);
        let audio = Param::of(Object {
            type_: SpaTypes::ObjectParamFormat.as_raw(),
            id: ParamType::Format.as_raw(),
            properties: vec![
                id(FormatProperties::MediaType, MediaType::Audio.as_raw()),
                id(FormatProperties::MediaSubtype, MediaSubtype::Raw.as_raw()),
            ],
        });
        assert_eq!(VideoInfo::read(audio.pod().expect("written")), None);
    }
}
