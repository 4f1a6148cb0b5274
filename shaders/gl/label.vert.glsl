// Dots of a label, in pixels from the lower left corner.
layout(location = 0) in vec2 position;

uniform vec2 picture_size;

void main() {
    gl_Position = vec4(position / picture_size * 2.0 - 1.0, 0.0, 1.0);
}
