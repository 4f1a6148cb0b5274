out vec4 color;

uniform vec4 ink;

void main() {
    color = ink;
}
