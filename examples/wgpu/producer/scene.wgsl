struct Moment {
    // One turn of everything is 2 pi.
    angle: f32,
    // Width by height.
    aspect: f32,
    // Where the format keeps alpha.
    unused: vec2f,
}
@group(0) @binding(0) var<uniform> moment: Moment;

struct Corner {
    @builtin(position) place: vec4f,
    @location(0) normal: vec3f,
    @location(1) color: vec3f,
    @location(2) on_face: vec2f,
}

const CUBES = 24u;
const NEAR = 0.5;
const FAR = 40.0;

fn about_y(angle: f32) -> mat3x3f {
    let c = cos(angle);
    let s = sin(angle);
    return mat3x3f(vec3f(c, 0.0, -s), vec3f(0.0, 1.0, 0.0), vec3f(s, 0.0, c));
}

fn about_x(angle: f32) -> mat3x3f {
    let c = cos(angle);
    let s = sin(angle);
    return mat3x3f(vec3f(1.0, 0.0, 0.0), vec3f(0.0, c, s), vec3f(0.0, -s, c));
}

// Two triangles on each of six faces, cubes in a ring that turns, each about itself as well.
@vertex
fn corner(@builtin(vertex_index) vertex: u32, @builtin(instance_index) cube: u32) -> Corner {
    var order = array<u32, 6>(0u, 1u, 2u, 2u, 1u, 3u);
    let face = vertex / 6u;
    let index = order[vertex % 6u];
    let across = vec2f(f32(index & 1u), f32(index >> 1u)) * 2.0 - 1.0;
    let axis = face % 3u;
    var normal = vec3f(0.0);
    normal[axis] = f32(face / 3u) * 2.0 - 1.0;
    var local = normal;
    local[(axis + 1u) % 3u] = across.x;
    local[(axis + 2u) % 3u] = across.y;

    let share = f32(cube) / f32(CUBES);
    let around = 6.2831853 * share + moment.angle;
    let itself = about_y(3.0 * moment.angle + 9.0 * share) * about_x(2.0 * moment.angle + 5.0 * share);
    let center = vec3f(4.2 * cos(around), 1.1 * sin(3.0 * around), 4.2 * sin(around));
    let world = itself * local * 0.42 + center;
    let seen = about_x(0.45) * world - vec3f(0.0, 0.0, 9.5);

    let focus = 1.7;
    let depth = -seen.z;
    var out: Corner;
    out.place = vec4f(
        focus * seen.x / moment.aspect,
        focus * seen.y,
        FAR * (depth - NEAR) / (FAR - NEAR),
        depth,
    );
    out.normal = itself * normal;
    out.color = 0.55 + 0.45 * cos(6.2831853 * (share + vec3f(0.0, 0.33, 0.67)));
    out.on_face = across;
    return out;
}

@fragment
fn shade(corner: Corner) -> @location(0) vec4f {
    let light = normalize(vec3f(0.4, 0.8, 0.5));
    let lit = 0.25 + 0.75 * max(dot(normalize(corner.normal), light), 0.0);
    let edge = step(0.86, max(abs(corner.on_face.x), abs(corner.on_face.y)));
    return vec4f(mix(corner.color, vec3f(1.0), edge) * lit, 1.0);
}
