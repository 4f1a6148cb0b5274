//! What the rows of both tables are made with.

use super::{Channel, Component, Format};

/// Places channels that are given from the most significant bits down.
pub(super) const fn packed<const N: usize>(list: [(Component, u8); N]) -> [Channel; N] {
    let mut channels = [Channel {
        component: Component::Padding,
        shift: 0,
        bits: 0,
    }; N];
    let mut shift = 0;
    let mut index = N;
    while index > 0 {
        index -= 1;
        let (component, bits) = list[index];
        channels[index] = Channel {
            component,
            shift,
            bits,
        };
        shift += bits;
    }
    channels
}

/// Bytes of a block with these channels.
pub(super) const fn bytes(channels: &[Channel]) -> u8 {
    let top = channels[0];
    assert!(
        (top.shift + top.bits).is_multiple_of(8),
        "a block is whole bytes"
    );
    (top.shift + top.bits) / 8
}

pub(super) const fn has_alpha(channels: &[Channel]) -> bool {
    let mut index = 0;
    while index < channels.len() {
        if matches!(channels[index].component, Component::Alpha) {
            return true;
        }
        index += 1;
    }
    false
}

/// The format with the code made of these four characters.
pub(super) const fn code(characters: &str) -> Format {
    match characters.as_bytes().first_chunk() {
        Some(characters) => Format::from_characters(characters),
        None => panic!("a code is four characters"),
    }
}
