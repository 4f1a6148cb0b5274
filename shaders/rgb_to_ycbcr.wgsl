// Red, green and blue to Y'CbCr with chroma shared by two by two pixels, in one plane of luma and one of chroma pairs
// (NV12, P010 and their kin): the stage in front of a video encoder.
//
// The planes lie in one buffer, seen as 32-bit words. Each invocation owns one word: it computes every sample in it, and
// keeps what does not belong to the picture, so that padding stays as it was.

struct Pass {
    // Rows of the matrix: codes from red, green, blue and 1.
    luma: vec4<f32>,
    // The channels of the chroma plane in memory order: Cb and Cr, or the other way round.
    first: vec4<f32>,
    second: vec4<f32>,
    // Of the picture, in pixels.
    extent: vec2<u32>,
    // Where luma and chroma start, in words.
    offset: vec2<u32>,
    // From row to row of luma and of chroma, in words.
    pitch: vec2<u32>,
    // 0 where chroma lies on the first of two pixels, 1 where it lies between them.
    midpoint: vec2<u32>,
    // The largest code.
    max: f32,
    // Where a code starts in its 8 or 16 bits.
    shift: u32,
    // 8 or 16.
    bits: u32,
}

var<immediate> conversion: Pass;

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

// The colour of a pixel; the outermost pixels count beyond the edges too.
fn color(x: i32, y: i32) -> vec4<f32> {
    let last = vec2<i32>(conversion.extent) - 1;
    let at = clamp(vec2<i32>(x, y), vec2<i32>(0), last);
    return vec4<f32>(textureLoad(picture, at, 0).rgb, 1.0);
}

// A code in its place among the bits of a sample.
fn code(row: vec4<f32>, rgb1: vec4<f32>) -> u32 {
    let whole = clamp(floor(dot(row, rgb1) + 0.5), 0.0, conversion.max);
    return u32(whole) << conversion.shift;
}

// Writes the bits of the picture, keeps the others.
fn store(word: u32, value: u32, mask: u32) {
    if mask == 0xffffffffu {
        words[word] = value;
    } else if mask != 0u {
        words[word] = (words[word] & ~mask) | value;
    }
}

fn sample_mask() -> u32 {
    return 0xffffffffu >> (32u - conversion.bits);
}

@compute @workgroup_size(8, 8)
fn luma(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.y >= conversion.extent.y {
        return;
    }
    let samples = 32u / conversion.bits;
    var value = 0u;
    var mask = 0u;
    for (var index = 0u; index < samples; index++) {
        let x = id.x * samples + index;
        if x < conversion.extent.x {
            let place = index * conversion.bits;
            value |= code(conversion.luma, color(i32(x), i32(id.y))) << place;
            mask |= sample_mask() << place;
        }
    }
    store(conversion.offset.x + id.y * conversion.pitch.x + id.x, value, mask);
}

// Three taps along one axis, around the first of two pixels.
fn weights(midpoint: u32) -> vec3<f32> {
    return select(vec3<f32>(0.25, 0.5, 0.25), vec3<f32>(0.0, 0.5, 0.5), midpoint == 1u);
}

// A box as wide as the two pixels that share a sample, centred where the sample lies.
fn average(x: u32, y: u32) -> vec4<f32> {
    let columns = weights(conversion.midpoint.x);
    let rows = weights(conversion.midpoint.y);
    var sum = vec4<f32>(0.0);
    for (var row = 0; row < 3; row++) {
        for (var column = 0; column < 3; column++) {
            let weight = rows[row] * columns[column];
            sum += weight * color(2 * i32(x) + column - 1, 2 * i32(y) + row - 1);
        }
    }
    return sum;
}

@compute @workgroup_size(8, 8)
fn chroma(@builtin(global_invocation_id) id: vec3<u32>) {
    let extent = (conversion.extent + 1u) / 2u;
    if id.y >= extent.y {
        return;
    }
    let pairs = 16u / conversion.bits;
    var value = 0u;
    var mask = 0u;
    for (var index = 0u; index < pairs; index++) {
        let x = id.x * pairs + index;
        if x < extent.x {
            let rgb1 = average(x, id.y);
            let place = 2u * index * conversion.bits;
            value |= code(conversion.first, rgb1) << place;
            value |= code(conversion.second, rgb1) << (place + conversion.bits);
            mask |= (sample_mask() << place) | (sample_mask() << (place + conversion.bits));
        }
    }
    store(conversion.offset.y + id.y * conversion.pitch.y + id.x, value, mask);
}
