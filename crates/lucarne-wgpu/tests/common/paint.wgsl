@group(0) @binding(0) var source: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    // One triangle over all of the target.
    let x = f32(index & 1u) * 4.0 - 1.0;
    let y = f32(index >> 1u) * 4.0 - 1.0;
    return vec4f(x, y, 0.0, 1.0);
}

@fragment
fn texel(@builtin(position) place: vec4f) -> @location(0) vec4f {
    return textureLoad(source, vec2u(place.xy), 0);
}
