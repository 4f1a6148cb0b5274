//! Compares each Vulkan format with the channels of its DRM format: Vulkan's names tell the layout, and the
//! numbers come with them from the bindings.

use ash::vk;
use lucarne::FormatInfo;

use super::*;

macro_rules! named {
    ($($name:ident)+) => { [$((stringify!($name), vk::Format::$name.as_raw())),+] };
}

const NAMES: [(&str, i32); 48] = named! {
    R4G4B4A4_UNORM_PACK16 B4G4R4A4_UNORM_PACK16 A4R4G4B4_UNORM_PACK16 A4B4G4R4_UNORM_PACK16
    R5G6B5_UNORM_PACK16 B5G6R5_UNORM_PACK16 R5G5B5A1_UNORM_PACK16 B5G5R5A1_UNORM_PACK16
    A1R5G5B5_UNORM_PACK16 A1B5G5R5_UNORM_PACK16_KHR
    R8_UNORM R8_SRGB R8G8_UNORM R8G8_SRGB R8G8B8_UNORM R8G8B8_SRGB B8G8R8_UNORM B8G8R8_SRGB
    R8G8B8A8_UNORM R8G8B8A8_SRGB B8G8R8A8_UNORM B8G8R8A8_SRGB
    A2R10G10B10_UNORM_PACK32 A2B10G10R10_UNORM_PACK32
    R16_UNORM R16G16_UNORM R16G16B16A16_UNORM R16G16B16A16_SFLOAT
    R10X6G10X6B10X6A10X6_UNORM_4PACK16
    G8B8G8R8_422_UNORM B8G8R8G8_422_UNORM
    G10X6B10X6G10X6R10X6_422_UNORM_4PACK16 G12X4B12X4G12X4R12X4_422_UNORM_4PACK16
    G16B16G16R16_422_UNORM
    G8_B8R8_2PLANE_420_UNORM G8_B8R8_2PLANE_422_UNORM G8_B8R8_2PLANE_444_UNORM
    G8_B8_R8_3PLANE_420_UNORM G8_B8_R8_3PLANE_422_UNORM G8_B8_R8_3PLANE_444_UNORM
    G10X6_B10X6R10X6_2PLANE_420_UNORM_3PACK16 G10X6_B10X6R10X6_2PLANE_422_UNORM_3PACK16
    G12X4_B12X4R12X4_2PLANE_420_UNORM_3PACK16 G16_B16R16_2PLANE_420_UNORM
    G10X6_B10X6_R10X6_3PLANE_444_UNORM_3PACK16
    // Not in the table; here so that a wrong number that hits one of them is named.
    R10X6_UNORM_PACK16 R12X4_UNORM_PACK16 R10X6G10X6_UNORM_2PACK16
};

fn name(number: i32) -> &'static str {
    let found = NAMES.iter().find(|(_, known)| *known == number);
    found
        .unwrap_or_else(|| panic!("VkFormat {number} is none of those expected"))
        .0
}

/// Splits `B10X6R10X6` into letters and bits.
fn letters(plane: &str) -> Vec<(char, u8)> {
    let starts: Vec<usize> = plane
        .char_indices()
        .filter(|(_, c)| c.is_ascii_alphabetic())
        .map(|(at, _)| at)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([plane.len()]);
    let parts = starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &plane[*start..end]);
    parts
        .map(|part| {
            (
                char::from(part.as_bytes()[0]),
                part[1..].parse().expect("bits"),
            )
        })
        .collect()
}

/// The channels of each plane, from the most significant bits down.
fn planes(name: &str) -> Vec<Vec<(char, u8)>> {
    let is_plane = |part: &&str| {
        part.starts_with(['R', 'G', 'B', 'A'])
            && part[1..].starts_with(|c: char| c.is_ascii_digit())
    };
    name.split('_')
        .filter(is_plane)
        .map(|plane| {
            let mut channels = letters(plane);
            if name.contains("_PACK") {
                return channels; // one number, written from the top
            }
            // Otherwise in memory order, in numbers of one channel and its padding each.
            let step = if plane.contains('X') { 2 } else { 1 };
            channels = channels.chunks(step).rev().flatten().copied().collect();
            channels
        })
        .collect()
}

/// Vulkan's letter for a channel, given by the crate's word for it.
fn letter(component: &str, padded: bool) -> char {
    match component {
        "Red" | "Cr" => 'R',
        "Green" | "Luma" => 'G',
        "Blue" | "Cb" => 'B',
        "Alpha" => 'A',
        _ if padded => 'X',
        // The padding of XRGB8888 is where its Vulkan format has alpha.
        _ => 'A',
    }
}

fn check(info: &FormatInfo, number: i32) {
    let name = name(number);
    let expected = planes(name);
    let padded = name.contains('X');
    assert_eq!(info.planes.len(), expected.len(), "{} as {name}", info.name);
    for (plane, expected) in info.planes.iter().zip(expected) {
        let ours = plane.channels.iter();
        let ours: Vec<_> = ours
            .map(|channel| {
                (
                    letter(&format!("{:?}", channel.component), padded),
                    channel.bits,
                )
            })
            .collect();
        assert_eq!(ours, expected, "{} as {name}", info.name);
    }
    assert_eq!(
        format!("{:?}", info.numeric) == "Float",
        name.contains("SFLOAT"),
        "{} as {name}",
        info.name
    );
    for plane in &info.planes[1..] {
        let ours = (plane.horizontal_subsampling, plane.vertical_subsampling);
        let expected = match name {
            name if name.contains("_420_") => (2, 2),
            name if name.contains("_422_") => (2, 1),
            _ => (1, 1),
        };
        assert_eq!(ours, expected, "{} as {name}", info.name);
    }
}

#[test]
fn vulkan_formats_have_the_same_bits() {
    let mut compared = 0;
    for info in Format::ALL {
        if let Some(number) = info.vk {
            check(info, number);
            assert!(!name(number).contains("SRGB"), "{}", info.name);
            compared += 1;
        }
        if let Some(number) = info.vk_srgb {
            check(info, number);
            assert!(name(number).contains("SRGB"), "{}", info.name);
            compared += 1;
        }
    }
    assert!(compared >= 60, "only {compared} Vulkan formats");
}
