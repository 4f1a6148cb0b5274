// The screen's mirror image in the floor: the lower it lies, the softer and fainter.
in vec2 texture_at;
out vec4 color;

uniform FRAME_SAMPLER frame;
uniform vec2 frame_size;

void main() {
    float depth = 1.0 - texture_at.y;
    float blur = 0.004 + 0.045 * depth;
    vec2 spread = vec2(blur * frame_size.y / frame_size.x, blur);
    vec3 light = vec3(0.0);
    // Seven taps on a hexagon and in its middle.
    for (int i = 0; i < 7; i++) {
        float angle = 1.0472 * float(i) + 0.3;
        vec2 tap = i == 6 ? vec2(0.0) : vec2(cos(angle), sin(angle));
        light += texture(frame, clamp(texture_at + tap * spread, vec2(0.0), vec2(1.0))).rgb;
    }
    vec2 soft = clamp(min(texture_at, 1.0 - texture_at) / (spread * 1.5) + 0.5, 0.0, 1.0);
    float fade = exp2(-3.0 * depth) * (1.0 - smoothstep(0.35, 0.9, depth));
    color = vec4(light / 7.0, 0.62 * fade * soft.x * smoothstep(-0.1, 0.1, depth));
}
