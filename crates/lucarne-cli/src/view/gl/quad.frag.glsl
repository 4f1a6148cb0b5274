uniform highp SAMPLER picture;
// z: 1 where colours are to be multiplied by alpha yet.
uniform vec4 down;

in vec2 at;
out vec4 pixel;

void main() {
    pixel = texture(picture, at);
    pixel.rgb *= mix(1.0, pixel.a, down.z);
}
