//! What stands where in a frame: a pure function of the frame's number, so that every memory path,
//! machine and run draws the same pictures.

use super::mesh::{self, Mesh};
use crate::math::{Camera, Quat, Vec3, compose, turn};
use std::f32::consts::TAU;
use std::ops::Range;

const WORD: &str = "LUCARNE";
const STONES: u8 = 9;

/// The parts of the mesh.
#[derive(Debug)]
pub(crate) struct Parts {
    knot: Range<u32>,
    stone: Range<u32>,
    letters: Vec<Range<u32>>,
    pub(crate) ground: Range<u32>,
}

/// One solid of one frame.
#[derive(Debug, Clone)]
pub(crate) struct Solid {
    pub(crate) indices: Range<u32>,
    pub(crate) place: Vec3,
    pub(crate) size: f32,
    pub(crate) turn: Quat,
    pub(crate) color: Vec3,
    /// 1 lets the rainbow run along the tint, 0 keeps the colour.
    pub(crate) rainbow: f32,
}

/// Builds all meshes.
pub(crate) fn build() -> (Mesh, Parts) {
    let mut mesh = Mesh::default();
    let parts = Parts {
        knot: mesh.part(|mesh| mesh::torus_knot(mesh, 144, 10)),
        stone: mesh.part(mesh::icosahedron),
        letters: WORD
            .chars()
            .map(|c| mesh.part(|mesh| mesh::letter(mesh, c)))
            .collect(),
        ground: mesh.part(mesh::ground),
    };
    (mesh, parts)
}

/// Seconds at sixty frames a second. A number beyond what a float counts starts the dance again.
fn seconds(frame: u32) -> f32 {
    f32::from(u16::try_from(frame % 60_000).unwrap_or(0)) / 60.0
}

/// Where the camera is: it sways before the stage.
pub(crate) fn camera(frame: u32, aspect: f32) -> Camera {
    let t = seconds(frame);
    let (sin, cos) = (0.08 + 0.30 * (0.75 * t - 0.4).sin()).sin_cos();
    Camera {
        eye: [9.4 * sin, 2.25 + 0.45 * (0.9 * t).cos(), 9.4 * cos],
        target: [0.0, 1.62, 0.0],
        half_height: 0.335,
        aspect,
        range: (1.0, 120.0),
    }
}

/// All solids of a frame, without the ground.
pub(crate) fn solids(parts: &Parts, frame: u32) -> Vec<Solid> {
    let t = seconds(frame);
    let mut solids = vec![Solid {
        indices: parts.knot.clone(),
        place: [0.0, 2.35 + 0.08 * (1.7 * t).sin(), 0.0],
        size: 1.02,
        turn: compose(
            turn([0.0, 1.0, 0.0], 0.8 * t),
            turn([1.0, 0.0, 0.0], 0.5 * t + 0.35),
        ),
        color: [1.0; 3],
        rainbow: 1.0,
    }];
    solids.extend((0..STONES).map(|i| stone(parts, t, i)));
    let middle = f32::from(u8::try_from(WORD.len()).unwrap_or(0) - 1) / 2.0;
    for (i, indices) in (0_u8..).zip(&parts.letters) {
        solids.push(letter(indices.clone(), t, f32::from(i), middle));
    }
    solids
}

/// A stone of the turning ring.
fn stone(parts: &Parts, t: f32, i: u8) -> Solid {
    let part = f32::from(i) / f32::from(STONES);
    let around = TAU * part + 0.55 * t;
    let (sin, cos) = around.sin_cos();
    let hue = TAU * part;
    Solid {
        indices: parts.stone.clone(),
        place: [2.75 * cos, 2.25 + 0.55 * (around + 0.8).sin(), 2.75 * sin],
        size: 0.27 + 0.07 * (3.0 * hue).cos(),
        turn: compose(
            turn([0.0, 1.0, 0.0], 1.3 * t + hue),
            turn([0.6, 0.0, 0.8], 0.9 * t),
        ),
        color: [0.0, 2.1, 4.2].map(|shift| 0.46 + 0.40 * (hue + shift).cos()),
        rainbow: 0.0,
    }
}

/// A letter of the word before the stage, in a wave that runs through it.
fn letter(indices: Range<u32>, t: f32, i: f32, middle: f32) -> Solid {
    let wave = (2.6 * t - 0.8 * i).sin();
    Solid {
        indices,
        place: [0.70 * (i - middle), 0.05 + 0.09 * (1.0 + wave), 2.7],
        size: 0.104,
        turn: turn([0.0, 1.0, 0.0], 0.16 * wave),
        color: [1.0, 0.46 - 0.062 * i, 0.02 + 0.045 * i],
        rainbow: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_differ_and_repeat_exactly() {
        let (_, parts) = build();
        let place = |frame| {
            solids(&parts, frame)
                .iter()
                .map(|s| s.place)
                .collect::<Vec<_>>()
        };
        assert_eq!(place(7), place(7));
        assert_ne!(place(7), place(8));
        assert_eq!(place(7).len(), 1 + usize::from(STONES) + WORD.len());
    }

    #[test]
    fn everything_stands_above_the_ground_and_before_the_camera() {
        let (_, parts) = build();
        for frame in (0..=300).step_by(10) {
            assert!(camera(frame, 16.0 / 9.0).eye[1] > 1.0);
            assert!(solids(&parts, frame).iter().all(|s| s.place[1] >= 0.05));
        }
    }
}
