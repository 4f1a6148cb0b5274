//! The solids of the scene, built on the CPU: every facet has its own corners, so that it is lit flat.

use crate::font;
use crate::math::{Vec3, add, cross, normalize, scale, sub};
use std::f32::consts::TAU;
use std::ops::Range;

/// Floats in a vertex: position, normal, tint.
pub(crate) const VERTEX_FLOATS: u32 = 7;

/// Vertices and indices of all solids, in one buffer each.
#[derive(Debug, Default)]
pub(crate) struct Mesh {
    pub(crate) vertices: Vec<[f32; VERTEX_FLOATS as usize]>,
    pub(crate) indices: Vec<u32>,
}

impl Mesh {
    /// Adds what `build` adds, and says which indices those are.
    pub(crate) fn part(&mut self, build: impl FnOnce(&mut Self)) -> Range<u32> {
        let start = self.index_count();
        build(self);
        start..self.index_count()
    }

    fn index_count(&self) -> u32 {
        u32::try_from(self.indices.len()).unwrap_or(u32::MAX)
    }

    /// Adds a flat polygon of three or four corners, counter-clockwise as seen from outside.
    fn facet(&mut self, corners: &[Vec3], tint: f32) {
        let n = normalize(cross(
            sub(corners[1], corners[0]),
            sub(corners[2], corners[0]),
        ));
        let first = u32::try_from(self.vertices.len()).unwrap_or(u32::MAX);
        for p in corners {
            self.vertices
                .push([p[0], p[1], p[2], n[0], n[1], n[2], tint]);
        }
        self.indices.extend([first, first + 1, first + 2]);
        if corners.len() == 4 {
            self.indices.extend([first, first + 2, first + 3]);
        }
    }
}

/// A tube of `around` by `along` facets, wound three times around a ring while it goes twice about.
pub(crate) fn torus_knot(mesh: &mut Mesh, along: usize, around: usize) {
    let ring = |i: usize| -> Vec<Vec3> {
        let angle = part_of(i, along);
        let (center, ahead) = (knot(angle), knot(angle + 0.01));
        let forward = normalize(sub(ahead, center));
        let side = normalize(cross(forward, add(ahead, center)));
        let up = cross(side, forward);
        let corner = |j: usize| {
            let (sin, cos) = part_of(j, around).sin_cos();
            add(center, add(scale(side, 0.30 * cos), scale(up, 0.30 * sin)))
        };
        (0..=around).map(corner).collect()
    };
    for i in 0..along {
        let (here, next) = (ring(i), ring(i + 1));
        // The rainbow runs along the knot three times, and closes.
        let tint = 3.0 * part_of(i, along) / TAU;
        for j in 0..around {
            mesh.facet(&[here[j], next[j], next[j + 1], here[j + 1]], tint);
        }
    }
}

fn knot(angle: f32) -> Vec3 {
    let radius = 1.0 + 0.42 * (3.0 * angle).cos();
    let (sin, cos) = (2.0 * angle).sin_cos();
    [radius * cos, radius * sin, 0.46 * (3.0 * angle).sin()]
}

fn part_of(i: usize, whole: usize) -> f32 {
    let (i, whole) = (u16::try_from(i), u16::try_from(whole));
    TAU * f32::from(i.unwrap_or(0)) / f32::from(whole.unwrap_or(1))
}

/// A solid of twenty triangles, with corners at distance one.
pub(crate) fn icosahedron(mesh: &mut Mesh) {
    let long = f32::midpoint(1.0, 5.0_f32.sqrt());
    let mut corners = Vec::with_capacity(12);
    for (a, b) in [(1.0, long), (-1.0, long), (1.0, -long), (-1.0, -long)] {
        corners.extend([[a, b, 0.0], [0.0, a, b], [b, 0.0, a]].map(normalize));
    }
    // The faces are the triples of corners that are neighbours of each other.
    let near = |a: Vec3, b: Vec3| crate::math::dot(a, b) > 0.4;
    for i in 0..12 {
        for j in i + 1..12 {
            for k in j + 1..12 {
                let (a, b, c) = (corners[i], corners[j], corners[k]);
                if near(a, b) && near(b, c) && near(a, c) {
                    let outward = crate::math::dot(cross(sub(b, a), sub(c, a)), a) > 0.0;
                    mesh.facet(&if outward { [a, b, c] } else { [a, c, b] }, 0.0);
                }
            }
        }
    }
}

/// A letter of cubes, standing on the ground, one unit per dot, centred from left to right.
pub(crate) fn letter(mesh: &mut Mesh, character: char) {
    let half_width = dots(font::GLYPH_WIDTH) / 2.0;
    for y in 0..font::GLYPH_HEIGHT {
        for x in 0..font::GLYPH_WIDTH {
            if font::dot(character, x, y) {
                let left = dots(x) - half_width;
                let bottom = dots(font::GLYPH_HEIGHT - 1 - y);
                block(
                    mesh,
                    [left + 0.04, bottom + 0.04, -0.7],
                    [left + 0.96, bottom + 0.96, 0.7],
                );
            }
        }
    }
}

fn dots(count: usize) -> f32 {
    f32::from(u8::try_from(count).unwrap_or(u8::MAX))
}

/// A box between two corners.
fn block(mesh: &mut Mesh, low: Vec3, high: Vec3) {
    let ([a, b, c], [x, y, z]) = (low, high);
    let faces = [
        [[a, b, z], [x, b, z], [x, y, z], [a, y, z]],
        [[x, b, c], [a, b, c], [a, y, c], [x, y, c]],
        [[x, b, z], [x, b, c], [x, y, c], [x, y, z]],
        [[a, b, c], [a, b, z], [a, y, z], [a, y, c]],
        [[a, y, z], [x, y, z], [x, y, c], [a, y, c]],
        [[a, b, c], [x, b, c], [x, b, z], [a, b, z]],
    ];
    for face in faces {
        mesh.facet(&face, 0.0);
    }
}

/// The ground: a square of two units, facing up.
pub(crate) fn ground(mesh: &mut Mesh) {
    let corners = [
        [-1.0, 0.0, 1.0],
        [1.0, 0.0, 1.0],
        [1.0, 0.0, -1.0],
        [-1.0, 0.0, -1.0],
    ];
    mesh.facet(&corners, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::dot;

    #[test]
    fn facets_look_outward() {
        let mut mesh = Mesh::default();
        icosahedron(&mut mesh);
        assert_eq!(mesh.indices.len(), 60);
        for v in &mesh.vertices {
            assert!(dot([v[0], v[1], v[2]], [v[3], v[4], v[5]]) > 0.5);
        }
        let mut cube = Mesh::default();
        block(&mut cube, [-1.0; 3], [1.0; 3]);
        for v in &cube.vertices {
            assert!(dot([v[0], v[1], v[2]], [v[3], v[4], v[5]]) > 0.9);
        }
    }

    #[test]
    fn the_knot_looks_outward_from_its_tube() {
        let mut mesh = Mesh::default();
        torus_knot(&mut mesh, 96, 8);
        assert_eq!(mesh.vertices.len(), 96 * 8 * 4);
        for (i, face) in mesh.vertices.chunks(4).enumerate() {
            let center = knot(part_of(i / 8, 96));
            let v = face[0];
            assert!(dot(sub([v[0], v[1], v[2]], center), [v[3], v[4], v[5]]) > 0.0);
        }
    }

    #[test]
    fn parts_follow_each_other() {
        let mut mesh = Mesh::default();
        let first = mesh.part(ground);
        let second = mesh.part(|mesh| letter(mesh, 'L'));
        assert_eq!((first, second), (0..6, 6..6 + 11 * 36));
    }
}
