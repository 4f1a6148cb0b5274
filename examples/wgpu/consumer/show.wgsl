struct Corner {
    @builtin(position) place: vec4f,
    @location(0) texel: vec2f,
}

@group(0) @binding(0) var frame: texture_2d<f32>;
@group(0) @binding(1) var smooth_sampler: sampler;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> Corner {
    // One triangle over all of the window; the frame's first row is at the top.
    let x = f32(index & 1u) * 2.0;
    let y = f32(index >> 1u) * 2.0;
    var out: Corner;
    out.place = vec4f(x * 2.0 - 1.0, 1.0 - y * 2.0, 0.0, 1.0);
    out.texel = vec2f(x, y);
    return out;
}

@fragment
fn shade(corner: Corner) -> @location(0) vec4f {
    // Alpha may be padding, and a window needs none.
    return vec4f(textureSample(frame, smooth_sampler, corner.texel).rgb, 1.0);
}
