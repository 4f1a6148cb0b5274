// Frames of red, green and blue or of Y'CbCr, of any size, drawn as red, green and blue: one triangle over all of the target.

struct Redraw {
    // Rows of the matrix: red, green and blue from luma, Cb, Cr and 1. Of no use where the frame has colours.
    red: vec4<f32>,
    green: vec4<f32>,
    blue: vec4<f32>,
    // From a place in the picture, in pixels, to the same in the planes of chroma, in samples: factors, and what is added.
    chroma: vec4<f32>,
    // The size of the target's pixel, in pixels of the picture.
    pixel: vec2<f32>,
    // How many samples are averaged along each axis of a pixel.
    taps: u32,
    // Where luma, Cb and Cr are found, 8 bits each: four times the texture's number, plus the channel's.
    places: u32,
}

// The frame has colours, in the first texture.
const COLOURS: u32 = 0xffffffffu;

var<immediate> redraw: Redraw;

@group(0) @binding(0) var first: texture_2d<f32>;
@group(0) @binding(1) var second: texture_2d<f32>;
@group(0) @binding(2) var third: texture_2d<f32>;

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let x = f32(index & 1u) * 4.0 - 1.0;
    let y = f32(index >> 1u) * 4.0 - 1.0;
    return vec4<f32>(x, y, 0.0, 1.0);
}

fn code(place: u32, texels: array<vec4<f32>, 3>) -> f32 {
    var all = texels;
    return all[min(place >> 2u & 3u, 2u)][place & 3u];
}

// A texture's value between its texels. Not a sampler's, whose places have 8 bits, and which not all formats have.
fn between(texture: texture_2d<f32>, at: vec2<f32>) -> vec4<f32> {
    let last = vec2<i32>(textureDimensions(texture)) - 1;
    let place = at - 0.5;
    let corner = floor(place);
    let part = place - corner;
    let low = clamp(vec2<i32>(corner), vec2<i32>(0), last);
    let high = clamp(vec2<i32>(corner) + 1, vec2<i32>(0), last);
    let above = mix(textureLoad(texture, low, 0), textureLoad(texture, vec2<i32>(high.x, low.y), 0), part.x);
    let below = mix(textureLoad(texture, vec2<i32>(low.x, high.y), 0), textureLoad(texture, high, 0), part.x);
    return mix(above, below, part.y);
}

fn color(at: vec2<f32>) -> vec4<f32> {
    let here = between(first, at);
    if (redraw.places == COLOURS) {
        return here;
    }
    let there = at * redraw.chroma.xy + redraw.chroma.zw;
    let texels = array<vec4<f32>, 3>(here, between(second, there), between(third, there));
    let places = redraw.places;
    let codes = vec4<f32>(code(places, texels), code(places >> 8u, texels), code(places >> 16u, texels), 1.0);
    let rgb = vec3<f32>(dot(redraw.red, codes), dot(redraw.green, codes), dot(redraw.blue, codes));
    return vec4<f32>(clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0)), 1.0);
}

@fragment
fn fragment(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let taps = redraw.taps;
    let corner = position.xy - 0.5;
    let step = 1.0 / f32(taps);
    var sum = vec4<f32>(0.0);
    for (var y = 0u; y < taps; y += 1u) {
        for (var x = 0u; x < taps; x += 1u) {
            let within = (vec2<f32>(f32(x), f32(y)) + 0.5) * step;
            sum += color((corner + within) * redraw.pixel);
        }
    }
    return sum * step * step;
}
