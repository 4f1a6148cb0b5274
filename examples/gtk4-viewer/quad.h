/* One quad with a texture, in OpenGL 3.2 or OpenGL ES 3. Nothing here knows of Lucarne. */
#ifndef QUAD_H
#define QUAD_H

#include <epoxy/gl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct quad {
    GLuint array;
    GLuint plain;    /* Samples GL_TEXTURE_2D. */
    GLuint external; /* Samples GL_TEXTURE_EXTERNAL_OES. 0 where the context has none: then no texture is one. */
};

/* Four corners of a strip. A frame's first row is its topmost, and OpenGL's is the lowest. */
#define QUAD_VERTEX                                                                                \
    "out vec2 place;\n"                                                                            \
    "void main() {\n"                                                                              \
    "    place = vec2(gl_VertexID & 1, gl_VertexID >> 1);\n"                                       \
    "    gl_Position = vec4(2.0 * place.x - 1.0, 1.0 - 2.0 * place.y, 0.0, 1.0);\n"                \
    "}\n"

#define QUAD_FRAGMENT                                                                              \
    "in vec2 place;\n"                                                                             \
    "out vec4 color;\n"                                                                            \
    "void main() { color = vec4(texture(picture, place).rgb, 1.0); }\n"

static inline GLuint quad_shader(GLenum kind, const char *head, const char *body)
{
    const char *const parts[] = {head, body};
    GLint done = 0;
    const GLuint shader = glCreateShader(kind);
    glShaderSource(shader, 2, parts, NULL);
    glCompileShader(shader);
    glGetShaderiv(shader, GL_COMPILE_STATUS, &done);
    if (!done) {
        char log[1000] = "";
        glGetShaderInfoLog(shader, sizeof log, NULL, log);
        fprintf(stderr, "a shader does not compile: %s\n", log);
        glDeleteShader(shader);
        return 0;
    }
    return shader;
}

/* 0 where the driver refuses. */
static inline GLuint quad_program(const char *vertex_head, const char *fragment_head)
{
    const GLuint vertex = quad_shader(GL_VERTEX_SHADER, vertex_head, QUAD_VERTEX);
    const GLuint fragment = quad_shader(GL_FRAGMENT_SHADER, fragment_head, QUAD_FRAGMENT);
    GLint done = 0;
    GLuint program = glCreateProgram();
    if (vertex != 0 && fragment != 0) {
        glAttachShader(program, vertex);
        glAttachShader(program, fragment);
        glLinkProgram(program);
        glGetProgramiv(program, GL_LINK_STATUS, &done);
    }
    glDeleteShader(vertex);
    glDeleteShader(fragment);
    if (!done) {
        glDeleteProgram(program);
        program = 0;
    }
    return program;
}

static inline bool quad_create(struct quad *quad, bool is_es)
{
    glGenVertexArrays(1, &quad->array);
    if (!is_es) {
        quad->external = 0;
        quad->plain = quad_program("#version 150\n", "#version 150\nuniform sampler2D picture;\n");
        return quad->plain != 0;
    }
    const char *head = "#version 300 es\nprecision highp float;\n";
    quad->plain = quad_program(head, "#version 300 es\nprecision highp float;\nuniform highp sampler2D picture;\n");
    quad->external = !epoxy_has_gl_extension("GL_OES_EGL_image_external_essl3") ? 0 : quad_program(head,
        "#version 300 es\n#extension GL_OES_EGL_image_external_essl3 : require\n"
        "precision highp float;\nuniform highp samplerExternalOES picture;\n");
    return quad->plain != 0;
}

static inline void quad_destroy(struct quad *quad)
{
    glDeleteProgram(quad->plain);
    glDeleteProgram(quad->external);
    glDeleteVertexArrays(1, &quad->array);
}

/* Draws the texture as large as fits into the viewport, in its own proportions and in the middle. */
static inline void quad_draw(const struct quad *quad, GLenum target, GLuint texture, uint32_t width, uint32_t height)
{
    GLint all[4];
    glGetIntegerv(GL_VIEWPORT, all);
    const int64_t across = (int64_t)all[2] * height, down = (int64_t)all[3] * width;
    const GLint fit[2] = {across <= down ? all[2] : (GLint)(down / height),
                          across <= down ? (GLint)(across / width) : all[3]};
    glViewport(all[0] + (all[2] - fit[0]) / 2, all[1] + (all[3] - fit[1]) / 2, fit[0], fit[1]);
    glDisable(GL_BLEND);
    glUseProgram(target == GL_TEXTURE_2D ? quad->plain : quad->external);
    glBindVertexArray(quad->array);
    glActiveTexture(GL_TEXTURE0);
    glBindTexture(target, texture);
    glTexParameteri(target, GL_TEXTURE_MIN_FILTER, GL_LINEAR);
    glTexParameteri(target, GL_TEXTURE_MAG_FILTER, GL_LINEAR);
    glTexParameteri(target, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
    glTexParameteri(target, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
    glBindTexture(target, 0);
    glBindVertexArray(0);
    glUseProgram(0);
    glViewport(all[0], all[1], all[2], all[3]);
}

/* Writes the pixels of the viewport, topmost row first. On failure `errno` says why. */
static inline bool quad_write_ppm(const char *path)
{
    GLint all[4];
    glGetIntegerv(GL_VIEWPORT, all);
    const size_t width = (size_t)all[2], height = (size_t)all[3];
    uint8_t *pixels = malloc(4 * width * height);
    FILE *file = pixels != NULL ? fopen(path, "wb") : NULL;
    bool done = file != NULL;
    if (done) {
        glReadPixels(all[0], all[1], all[2], all[3], GL_RGBA, GL_UNSIGNED_BYTE, pixels);
        done = fprintf(file, "P6\n%zu %zu\n255\n", width, height) > 0;
        for (size_t y = height; y-- > 0;)
            for (size_t x = 0; x < width; x++)
                done = done && fwrite(pixels + 4 * (y * width + x), 3, 1, file) == 1;
        done = fclose(file) == 0 && done;
    }
    free(pixels);
    return done;
}

#endif
