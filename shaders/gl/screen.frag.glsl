// The shared texture on the screen, within a thin frame whose edges are smooth.
in vec2 texture_at;
out vec4 color;

uniform FRAME_SAMPLER frame;
uniform vec2 frame_size;

float inside(vec2 low, vec2 high) {
    vec2 pixel = max(fwidth(texture_at), vec2(1e-5));
    vec2 edge = min(texture_at - low, high - texture_at) / pixel;
    return clamp(min(edge.x, edge.y) + 0.5, 0.0, 1.0);
}

void main() {
    float aspect = frame_size.x / frame_size.y;
    vec2 rim = vec2(0.012 / aspect, 0.012);
    vec3 picture = texture(frame, clamp(texture_at, vec2(0.0), vec2(1.0))).rgb;
    float shown = inside(vec2(0.0), vec2(1.0));
    // The frame: dark, with a faint light line where the picture touches it.
    vec2 out_by = max(max(-texture_at, texture_at - 1.0), vec2(0.0)) * vec2(aspect, 1.0);
    float away = max(out_by.x, out_by.y) / 0.012;
    vec3 frame_color = mix(vec3(0.125, 0.130, 0.150), vec3(0.035, 0.037, 0.046), clamp(away * 1.6, 0.0, 1.0));
    color = vec4(mix(frame_color, picture, shown), inside(-rim, vec2(1.0) + rim));
}
