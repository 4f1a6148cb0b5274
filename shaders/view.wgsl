// The window of `lucarne view` in Vulkan: one rectangle with a picture, at a time. `quad.*.glsl` of the command is the same
// for OpenGL.

struct Quad {
    // Left, top, right and bottom in clip space.
    place: vec4<f32>,
    // xy: where the picture's upper left corner is in the texture. zw: from there to the upper right one.
    corner: vec4<f32>,
    // xy: from there to the lower left corner. z: 1 where colours are to be multiplied by alpha yet.
    down: vec4<f32>,
}

struct Point {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
}

var<immediate> quad: Quad;

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var filtered: sampler;

@vertex
fn place(@builtin(vertex_index) index: u32) -> Point {
    let way = vec2<f32>(f32(index & 1u), f32(index >> 1u));
    var point: Point;
    point.at = quad.corner.xy + way.x * quad.corner.zw + way.y * quad.down.xy;
    point.position = vec4<f32>(mix(quad.place.xy, quad.place.zw, way), 0.0, 1.0);
    return point;
}

@fragment
fn paint(point: Point) -> @location(0) vec4<f32> {
    let pixel = textureSample(picture, filtered, point.at);
    return vec4<f32>(pixel.rgb * mix(1.0, pixel.a, quad.down.z), pixel.a);
}
