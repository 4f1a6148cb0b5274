/* What your toolkit has already: a display and a context that is current. Nothing here knows of Lucarne. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <stdio.h>
#include <stdlib.h>

struct context {
    EGLDisplay display;
    EGLContext context;
};

static inline void *egl_need(void *it, const char *what)
{
    if (it == NULL) {
        fprintf(stderr, "%s failed: 0x%x\n", what, (unsigned)eglGetError());
        exit(1);
    }
    return it;
}

/* The first device's display: a GPU where there is one, a software rasteriser otherwise. No window is needed. */
static inline EGLDisplay first_display(void)
{
    PFNEGLQUERYDEVICESEXTPROC query =
        (PFNEGLQUERYDEVICESEXTPROC)eglGetProcAddress("eglQueryDevicesEXT");
    PFNEGLGETPLATFORMDISPLAYEXTPROC display =
        (PFNEGLGETPLATFORMDISPLAYEXTPROC)eglGetProcAddress("eglGetPlatformDisplayEXT");
    EGLDeviceEXT devices[16];
    EGLint count = 0;
    if (query == NULL || display == NULL || !query(16, devices, &count) || count == 0) {
        fprintf(stderr, "EGL lists no device\n");
        exit(1);
    }
    return egl_need(display(EGL_PLATFORM_DEVICE_EXT, devices[0], NULL), "eglGetPlatformDisplayEXT");
}

static inline struct context context_create(void)
{
    static const EGLint wanted[] = {EGL_SURFACE_TYPE, 0, EGL_RENDERABLE_TYPE, EGL_OPENGL_ES3_BIT,
                                    EGL_NONE};
    static const EGLint version[] = {EGL_CONTEXT_CLIENT_VERSION, 3, EGL_NONE};
    struct context made;
    made.display = first_display();
    EGLConfig config = NULL;
    EGLint count = 0;
    if (!eglInitialize(made.display, NULL, NULL) || !eglBindAPI(EGL_OPENGL_ES_API) ||
        !eglChooseConfig(made.display, wanted, &config, 1, &count) || count == 0) {
        fprintf(stderr, "EGL has no configuration for OpenGL ES 3: 0x%x\n", (unsigned)eglGetError());
        exit(1);
    }
    made.context = egl_need(eglCreateContext(made.display, config, EGL_NO_CONTEXT, version),
                            "eglCreateContext");
    if (!eglMakeCurrent(made.display, EGL_NO_SURFACE, EGL_NO_SURFACE, made.context)) {
        fprintf(stderr, "eglMakeCurrent failed: 0x%x\n", (unsigned)eglGetError());
        exit(1);
    }
    return made;
}

static inline void context_destroy(struct context *made)
{
    eglMakeCurrent(made->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
    eglDestroyContext(made->display, made->context);
    eglTerminate(made->display);
}

#endif
