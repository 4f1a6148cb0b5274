// A piece of a cylinder, seen from inside: across from 0 (left) to 1, down from 0 (top) to 1.
layout(location = 0) in vec2 across_down;
out vec2 texture_at;

uniform mat4 view_projection;
// x: radius, y: half the angle, z: height, w: height of the lower edge above the floor.
uniform vec4 cylinder;
// How much of a border lies around the picture, in parts of its size.
uniform vec2 border;
// 1 above the floor, -1 for its mirror image.
uniform float mirror;

void main() {
    // Vulkan's first row is the top one and so is the texture's: down runs the same way as t.
    texture_at = (across_down - 0.5) * (1.0 + 2.0 * border) + 0.5;
    float angle = (texture_at.x * 2.0 - 1.0) * cylinder.y;
    float height = cylinder.w + (1.0 - texture_at.y) * cylinder.z;
    vec3 at = vec3(cylinder.x * sin(angle), height * mirror, cylinder.x * (1.0 - cos(angle)));
    gl_Position = view_projection * vec4(at, 1.0);
}
