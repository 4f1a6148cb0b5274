//! The little linear algebra that a camera needs. Angles are in radians, matrices by columns.

/// A point or a direction.
pub type Vec3 = [f32; 3];
/// A unit quaternion: x, y, z, w.
pub type Quat = [f32; 4];
/// Four columns of four.
pub type Mat4 = [[f32; 4]; 4];

/// Adds two vectors.
#[must_use]
pub fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// Subtracts `b` from `a`.
#[must_use]
pub fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// Makes a vector `by` times as long.
#[must_use]
pub fn scale(a: Vec3, by: f32) -> Vec3 {
    [a[0] * by, a[1] * by, a[2] * by]
}

/// The scalar product.
#[must_use]
pub fn dot(a: Vec3, b: Vec3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The vector product, right-handed.
#[must_use]
pub fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

/// Makes a vector one long.
#[must_use]
pub fn normalize(a: Vec3) -> Vec3 {
    scale(a, 1.0 / dot(a, a).sqrt())
}

/// A turn by `angle` around `axis`, which is one long.
#[must_use]
pub fn turn(axis: Vec3, angle: f32) -> Quat {
    let (sin, cos) = (angle * 0.5).sin_cos();
    [axis[0] * sin, axis[1] * sin, axis[2] * sin, cos]
}

/// First `b`, then `a`.
#[must_use]
pub fn compose(a: Quat, b: Quat) -> Quat {
    let (av, bv) = ([a[0], a[1], a[2]], [b[0], b[1], b[2]]);
    let v = add(add(scale(bv, a[3]), scale(av, b[3])), cross(av, bv));
    [v[0], v[1], v[2], a[3] * b[3] - dot(av, bv)]
}

/// First `b`, then `a`.
#[must_use]
pub fn multiply(a: &Mat4, b: &Mat4) -> Mat4 {
    let mut product = [[0.0; 4]; 4];
    for (column, from) in product.iter_mut().zip(b) {
        for (row, value) in column.iter_mut().enumerate() {
            *value = (0..4).map(|k| a[k][row] * from[k]).sum();
        }
    }
    product
}

/// Where one stands, where one looks, and how wide.
#[derive(Debug, Clone, Copy)]
pub struct Camera {
    /// Where it stands.
    pub eye: Vec3,
    /// What it looks at.
    pub target: Vec3,
    /// Half the height of the view at distance one.
    pub half_height: f32,
    /// Width over height of the picture.
    pub aspect: f32,
    /// The nearest and the farthest distance that is drawn.
    pub range: (f32, f32),
}

/// Which interval of depth an API's clip space has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClipDepth {
    /// Vulkan.
    ZeroToOne,
    /// OpenGL.
    MinusOneToOne,
}

impl Camera {
    /// Forward, right and up, each one long.
    #[must_use]
    pub fn axes(&self) -> (Vec3, Vec3, Vec3) {
        let forward = normalize(sub(self.target, self.eye));
        let right = normalize(cross(forward, [0.0, 1.0, 0.0]));
        (forward, right, cross(right, forward))
    }

    /// World to clip space, y up.
    #[must_use]
    pub fn view_projection(&self, depth: ClipDepth) -> Mat4 {
        let (f, r, u) = self.axes();
        let view = [
            [r[0], u[0], -f[0], 0.0],
            [r[1], u[1], -f[1], 0.0],
            [r[2], u[2], -f[2], 0.0],
            [-dot(r, self.eye), -dot(u, self.eye), dot(f, self.eye), 1.0],
        ];
        let (near, far) = self.range;
        let (a, b) = match depth {
            ClipDepth::ZeroToOne => (far / (near - far), near * far / (near - far)),
            ClipDepth::MinusOneToOne => {
                ((near + far) / (near - far), 2.0 * near * far / (near - far))
            }
        };
        let y = 1.0 / self.half_height;
        let projection = [
            [y / self.aspect, 0.0, 0.0, 0.0],
            [0.0, y, 0.0, 0.0],
            [0.0, 0.0, a, -1.0],
            [0.0, 0.0, b, 0.0],
        ];
        multiply(&projection, &view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(m: &Mat4, p: Vec3) -> Vec3 {
        let at = |row: usize| m[0][row] * p[0] + m[1][row] * p[1] + m[2][row] * p[2] + m[3][row];
        [at(0) / at(3), at(1) / at(3), at(2) / at(3)]
    }

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-4
    }

    #[test]
    fn a_camera_puts_its_target_in_the_middle_and_up_is_up() {
        let camera = Camera {
            eye: [3.0, 2.0, 5.0],
            target: [0.0, 1.0, 0.0],
            half_height: 0.5,
            aspect: 2.0,
            range: (1.0, 50.0),
        };
        let m = camera.view_projection(ClipDepth::ZeroToOne);
        let middle = project(&m, camera.target);
        assert!(near(middle[0], 0.0) && near(middle[1], 0.0), "{middle:?}");
        let (forward, right, up) = camera.axes();
        assert!(project(&m, add(camera.target, up))[1] > 0.1);
        assert!(project(&m, add(camera.target, right))[0] > 0.05);
        assert!(near(project(&m, add(camera.eye, forward))[2], 0.0));
        assert!(near(
            project(&m, add(camera.eye, scale(forward, 50.0)))[2],
            1.0
        ));
        let gl = camera.view_projection(ClipDepth::MinusOneToOne);
        assert!(near(project(&gl, add(camera.eye, forward))[2], -1.0));
    }

    #[test]
    fn composed_turns_add_up() {
        let y = [0.0, 1.0, 0.0];
        let sum = compose(turn(y, 0.4), turn(y, 0.3));
        let whole = turn(y, 0.7);
        assert!(sum.iter().zip(whole).all(|(a, b)| near(*a, b)));
    }
}
