// One of the four corners of a rectangle, and where its picture is in the texture.

// Left, top, right and bottom in clip space.
uniform vec4 place;
// xy: the picture's upper left corner. zw: from there to the upper right one.
uniform vec4 corner;
// xy: from there to the lower left corner. z: see the other shader.
uniform vec4 down;

out vec2 at;

void main() {
    vec2 way = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
    at = corner.xy + way.x * corner.zw + way.y * down.xy;
    gl_Position = vec4(mix(place.xy, place.zw, way), 0.0, 1.0);
}
