// The demo's scene: a sky, a checkered floor that mirrors, and lit solids above it.
//
// Conventions are WebGPU's: clip space has y up and z from 0 to 1. The compiler turns y over for
// Vulkan (see README.md beside this file). Light is added up linearly and encoded at the very end,
// by hand, because the shared image has a UNORM format that no driver encodes for us.

struct Solid {
    view_projection: mat4x4<f32>,
    // xyz: where it stands; w: its size.
    place: vec4<f32>,
    // How it is turned, a unit quaternion.
    turn: vec4<f32>,
    // rgb: its colour, linear; w: 0 keeps that colour, 1 runs through the rainbow along the tint.
    color: vec4<f32>,
    // xyz: where the camera is; w: 1 above the floor, -1 for the mirror image below it.
    eye: vec4<f32>,
}

struct Sky {
    forward: vec4<f32>,
    right: vec4<f32>,
    up: vec4<f32>,
}

var<immediate> solid: Solid;
var<immediate> sky: Sky;

const SUN = vec3<f32>(-0.425, 0.118, -0.897);
const SUN_COLOR = vec3<f32>(1.0, 0.50, 0.20);

// What one sees of the sky in a direction; the lower half is the upper half mirrored.
fn sky_color(direction: vec3<f32>) -> vec3<f32> {
    let d = vec3<f32>(direction.x, abs(direction.y), direction.z);
    let low = exp2(-9.0 * d.y);
    let middle = exp2(-2.6 * d.y);
    var color = vec3<f32>(0.006, 0.009, 0.034);
    color += vec3<f32>(0.030, 0.007, 0.072) * middle;
    color += vec3<f32>(0.36, 0.066, 0.040) * low;
    // Thin bands of cloud, lit from below.
    let band = sin(d.y * 46.0 + d.x * 2.0) * sin(d.y * 19.0 - d.x * 3.1);
    color += vec3<f32>(0.050, 0.008, 0.020) * max(band, 0.0) * middle;
    // The sun: a soft halo and a disc.
    let toward = max(dot(d, SUN), 0.0);
    var halo = toward * toward;
    halo *= halo;
    halo *= halo;
    halo *= halo;
    let disc = smoothstep(0.9950, 0.9957, toward) * select(0.35, 1.6, direction.y >= 0.0);
    color += SUN_COLOR * (0.07 * halo + 0.22 * halo * halo + disc);
    return color;
}

fn encode(color: vec3<f32>) -> vec4<f32> {
    let rolled = color * (1.0 + 0.18 * color) / (1.0 + color);
    return vec4<f32>(sqrt(clamp(1.55 * rolled, vec3<f32>(0.0), vec3<f32>(1.0))), 1.0);
}

struct SkyPoint {
    @builtin(position) position: vec4<f32>,
    @location(0) ray: vec3<f32>,
}

// One triangle that covers the picture, at the far plane.
@vertex
fn sky_vertex(@builtin(vertex_index) index: u32) -> SkyPoint {
    let x = select(-1.0, 3.0, index == 1u);
    let y = select(-1.0, 3.0, index == 2u);
    var point: SkyPoint;
    point.position = vec4<f32>(x, y, 1.0, 1.0);
    point.ray = sky.forward.xyz + x * sky.right.xyz + y * sky.up.xyz;
    return point;
}

@fragment
fn sky_fragment(point: SkyPoint) -> @location(0) vec4<f32> {
    return encode(sky_color(normalize(point.ray)));
}

struct SolidPoint {
    @builtin(position) position: vec4<f32>,
    // Where it would be without the mirror: light does not know of mirrors.
    @location(0) world: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) color: vec3<f32>,
}

fn turned(v: vec3<f32>, q: vec4<f32>) -> vec3<f32> {
    let t = 2.0 * cross(q.xyz, v);
    return v + q.w * t + cross(q.xyz, t);
}

fn rainbow(turns: f32) -> vec3<f32> {
    let wave = cos(6.2831853 * (vec3<f32>(turns) + vec3<f32>(0.0, 0.36, 0.62)));
    let bright = 0.5 + 0.5 * wave;
    return bright * bright;
}

@vertex
fn solid_vertex(
    @location(0) position: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) tint: f32,
) -> SolidPoint {
    var point: SolidPoint;
    point.world = turned(position * solid.place.w, solid.turn) + solid.place.xyz;
    point.normal = turned(normal, solid.turn);
    point.color = mix(solid.color.rgb, rainbow(tint), solid.color.w);
    let seen = vec4<f32>(point.world.x, point.world.y * solid.eye.w, point.world.z, 1.0);
    point.position = solid.view_projection * seen;
    return point;
}

// A lamp without attenuation by the square: softer, and prettier on a small stage.
fn lamp(at: vec3<f32>, color: vec3<f32>, world: vec3<f32>, normal: vec3<f32>) -> vec3<f32> {
    let to = at - world;
    let reach = dot(to, to);
    let facing = max(dot(normal, to), 0.0) * inverseSqrt(reach);
    return color * facing * (9.0 / (4.0 + reach));
}

@fragment
fn solid_fragment(point: SolidPoint) -> @location(0) vec4<f32> {
    return lit(point);
}

fn lit(point: SolidPoint) -> vec4<f32> {
    let normal = normalize(point.normal);
    let eye = vec3<f32>(solid.eye.x, solid.eye.y * solid.eye.w, solid.eye.z);
    let toward_eye = normalize(eye - point.world);

    // The sky from above, the warm floor from below.
    var light = mix(vec3<f32>(0.10, 0.05, 0.05), vec3<f32>(0.10, 0.10, 0.20), 0.5 + 0.5 * normal.y);
    light += vec3<f32>(0.66, 0.62, 0.60) * max(dot(normal, vec3<f32>(0.420, 0.640, 0.643)), 0.0);
    light += SUN_COLOR * 0.8 * max(dot(normal, SUN), 0.0);
    light += lamp(vec3<f32>(3.6, 1.2, 2.6), vec3<f32>(0.15, 0.55, 1.25), point.world, normal);
    light += lamp(vec3<f32>(-3.8, 0.8, 2.2), vec3<f32>(1.25, 0.25, 0.50), point.world, normal);

    // One highlight to the fifth doubling, and the sky's light around the edge.
    let half_way = normalize(toward_eye + vec3<f32>(0.420, 0.640, 0.643));
    var shine = max(dot(normal, half_way), 0.0);
    shine *= shine;
    shine *= shine;
    shine *= shine;
    shine *= shine;
    shine *= shine;
    var edge = 1.0 - max(dot(normal, toward_eye), 0.0);
    edge = edge * edge * edge;

    let color = point.color * light + vec3<f32>(0.75) * shine + vec3<f32>(0.34, 0.13, 0.16) * edge;
    return encode(color);
}

// 1 on a light tile, 0 on a dark one; smooth over the width of a pixel, grey where tiles are
// smaller than that.
fn checker(at: vec2<f32>, width: vec2<f32>) -> f32 {
    let w = max(width, vec2<f32>(0.001));
    // The integral of a square wave is a triangle wave: this is the exact average over the pixel.
    let upper = abs(fract((at + 0.5 * w) * 0.5) - 0.5);
    let lower = abs(fract((at - 0.5 * w) * 0.5) - 0.5);
    let average = 2.0 * (lower - upper) / w;
    return 0.5 - 0.5 * average.x * average.y;
}

// The floor at a point: its colour, ready to show, and how much of the mirror one sees there.
fn floor_at(point: vec3<f32>) -> vec4<f32> {
    let at = point.xz;
    let width = abs(dpdx(at)) + abs(dpdy(at));
    let tile = checker(at, width);

    let away = point - solid.eye.xyz;
    let distance = length(away);
    let steep = -away.y / distance;
    // Shade under what floats above the middle.
    let shade = 1.0 - 0.62 / (1.0 + 0.22 * dot(at, at));

    let up = vec3<f32>(0.0, 1.0, 0.0);
    var light = vec3<f32>(0.13, 0.11, 0.20);
    light += lamp(vec3<f32>(3.6, 1.2, 2.6), vec3<f32>(0.15, 0.55, 1.25), point, up);
    light += lamp(vec3<f32>(-3.8, 0.8, 2.2), vec3<f32>(1.25, 0.25, 0.50), point, up);
    let color = mix(vec3<f32>(0.022, 0.019, 0.036), vec3<f32>(0.34, 0.31, 0.38), tile) * light * shade;

    // The flatter one looks, the more of the mirror one sees; far away there is only the mirror.
    let grazing = 1.0 - steep;
    let mirror = clamp(0.20 + 0.75 * grazing * grazing * grazing, 0.0, 1.0);
    let far = smoothstep(14.0, 42.0, distance);
    return vec4<f32>(encode(color).rgb, mix(mirror, 1.0, far));
}

@fragment
fn floor_fragment(point: SolidPoint) -> @location(0) vec4<f32> {
    let ground = floor_at(point.world);
    let sky_below = encode(sky_color(normalize(point.world - solid.eye.xyz)));
    return vec4<f32>(mix(ground.rgb, sky_below.rgb, ground.a), 1.0);
}

// A solid in the mirror, through the floor. Mixed here and not by blending: not every driver can blend
// into every image that it can share.
@fragment
fn mirrored_fragment(point: SolidPoint) -> @location(0) vec4<f32> {
    let eye = solid.eye.xyz;
    let below = vec3<f32>(point.world.x, -point.world.y, point.world.z) - eye;
    let ground = floor_at(eye - below * (eye.y / below.y));
    return vec4<f32>(mix(ground.rgb, lit(point).rgb, ground.a), 1.0);
}
