// A dark room: a wall that the screen lights softly, and a floor of polished stone.
in vec2 at;
out vec4 color;

uniform float horizon;

void main() {
    vec3 wall = vec3(0.040, 0.044, 0.062);
    vec2 from_screen = (at - vec2(0.0, 0.18)) * vec2(0.62, 0.80);
    wall += vec3(0.120, 0.080, 0.110) * exp2(-2.2 * dot(from_screen, from_screen));
    float below = horizon - at.y;
    vec3 floor_color = mix(vec3(0.060, 0.056, 0.074), vec3(0.022, 0.022, 0.030), clamp(below * 1.6, 0.0, 1.0));
    float softness = 0.012;
    vec3 room = mix(wall, floor_color, smoothstep(-softness, softness, below));
    // Less than a step of a regular pattern, so that dark ramps do not show bands.
    vec2 cell = mod(floor(gl_FragCoord.xy), 2.0);
    float pattern = (2.0 * abs(cell.x - cell.y) + cell.y) / 4.0 - 0.375;
    color = vec4(room + pattern / 255.0, 1.0);
}
