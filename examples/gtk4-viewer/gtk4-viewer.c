/*
 * Shows a stream in a window of GTK 4. The frames are textures in GTK's own context: no pixel is copied on a GPU.
 *
 *     gtk4-viewer [--folder FOLDER] [--fullscreen] [--shot FILE] [--frames N] NAME
 */
#include "quad.h"

#include <gtk/gtk.h>
#include <glib-unix.h>
#include <lucarne.h>

#define PATIENCE UINT64_C(200000000) /* How long a CPU waits for a GPU where no fence can, in nanoseconds. */
#define RETRY 250                    /* How often a producer is looked for, in milliseconds. */

struct viewer {
    char *name, *folder, *shot;
    int fullscreen, frames, status;
    GtkWidget *window, *area, *label;
    struct quad quad;
    lucarne_device *device;
    lucarne_consumer *consumer;
    lucarne_reading *shown; /* The turn of the picture in the window. It lasts until a newer one comes. */
    lucarne_fence *drawn;   /* Signals when the last drawing of it has ended. NULL: it was never drawn. */
    guint readable, retry;
    int drawn_frames;
};

/* Text over the picture, and on standard error. */
G_GNUC_PRINTF(2, 3) static void tell(struct viewer *viewer, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    g_autofree char *text = g_strdup_vprintf(format, list);
    va_end(list);
    if (strcmp(gtk_label_get_text(GTK_LABEL(viewer->label)), text) != 0)
        g_printerr("%s\n", text);
    gtk_label_set_text(GTK_LABEL(viewer->label), text);
    gtk_widget_set_visible(viewer->label, *text != '\0');
}

/* What failed, why, and each thing that is missing. Takes the error. */
static void tell_error(struct viewer *viewer, const char *what, lucarne_error *error)
{
    const lucarne_reasons *reasons = lucarne_error_reasons(error);
    g_autoptr(GString) list = g_string_new(NULL);
    for (size_t i = 0; i < lucarne_reasons_count(reasons); i++)
        g_string_append_printf(list, "\n%s", lucarne_reasons_text(reasons, i));
    tell(viewer, "%s: %s%s", what, lucarne_error_message(error), list->str);
    lucarne_error_free(error);
}

/* Ends the turn of the picture in the window: its writer waits for the last drawing. The context is current. */
static void let_go(struct viewer *viewer)
{
    if (viewer->drawn == NULL)
        lucarne_reading_free(viewer->shown);
    else /* Gives it back in any case; the next receive says what is wrong with the stream. */
        lucarne_reading_release(viewer->shown, viewer->drawn, NULL);
    lucarne_fence_free(viewer->drawn);
    viewer->shown = NULL;
    viewer->drawn = NULL;
}

/* Takes a newer picture, once its writer is done; the one before goes back. */
static void take(struct viewer *viewer, lucarne_reading *reading)
{
    lucarne_error *error = NULL;
    if (lucarne_egl_read(lucarne_reading_image(reading), lucarne_reading_acquire(reading), PATIENCE, &error)) {
        tell_error(viewer, "A frame could not be read, so this is the one before", error);
        lucarne_reading_free(reading);
        return;
    }
    let_go(viewer);
    viewer->shown = reading;
    tell(viewer, "%s", "");
    gtk_gl_area_queue_render(GTK_GL_AREA(viewer->area));
}

/* How frames are made from now on: in the title, with the way that they take. */
static void tell_generation(struct viewer *viewer, const lucarne_event_info *info)
{
    static const char *const WAYS[] = {"?", "dma-buf, tiled", "dma-buf, linear", "opaque memory", "host memory"};
    char format[32];
    lucarne_format_name(info->format, format, sizeof format);
    g_autofree char *title = g_strdup_printf("%s: %u x %u, %s, %s", viewer->name, info->width, info->height, format,
                                             WAYS[info->rung < G_N_ELEMENTS(WAYS) ? info->rung : 0]);
    g_print("%s\n", title);
    gtk_window_set_title(GTK_WINDOW(viewer->window), title);
}

static void tell_events(struct viewer *viewer)
{
    lucarne_event *event;
    while ((event = lucarne_consumer_event(viewer->consumer)) != NULL) {
        lucarne_event_info info;
        if (lucarne_event_describe(event, &info, NULL) == LUCARNE_STATUS_OK) {
            if (info.kind == LUCARNE_EVENT_GENERATION)
                tell_generation(viewer, &info);
            else if (info.kind == LUCARNE_EVENT_PAUSED)
                tell(viewer, "The producer pauses. The picture goes on when it does.");
            else if (info.kind == LUCARNE_EVENT_IMPORT_FAILED)
                g_printerr("The producer was asked for other frames: %s\n", lucarne_event_text(event));
        }
        lucarne_event_free(event);
    }
}

static gboolean look_again(gpointer data);
/* The connection is over. The picture stays, and the producer is looked for. Takes the error. */
static void lost(struct viewer *viewer, lucarne_status status, lucarne_error *error)
{
    g_clear_handle_id(&viewer->readable, g_source_remove);
    if (status == LUCARNE_STATUS_ENDED || status == LUCARNE_STATUS_PEER_GONE) {
        tell(viewer, "The producer of \"%s\" has gone%s. Start it again, and the picture goes on.", viewer->name,
             viewer->shown != NULL ? "; this is its last picture" : "");
        lucarne_error_free(error);
    } else {
        tell_error(viewer, "The stream cannot be shown", error);
    }
    if (viewer->retry == 0)
        viewer->retry = g_timeout_add(RETRY, look_again, viewer);
}

/* Takes what has come. */
static gboolean receive(gint fd, GIOCondition condition, gpointer data)
{
    struct viewer *viewer = data;
    (void)fd, (void)condition;
    gtk_gl_area_make_current(GTK_GL_AREA(viewer->area));
    for (;;) {
        lucarne_error *error = NULL;
        lucarne_reading *reading = NULL;
        lucarne_status status = lucarne_consumer_try_receive(viewer->consumer, &reading, &error);
        tell_events(viewer);
        if (status == LUCARNE_STATUS_OK) {
            take(viewer, reading);
            continue;
        }
        if (status == LUCARNE_STATUS_WOULD_BLOCK)
            lucarne_error_free(error);
        else
            lost(viewer, status, error);
        return G_SOURCE_CONTINUE; /* Where it is lost, the source is removed already. */
    }
}

/* Connects, or connects again. Runs from a timer until it has worked. */
static gboolean look_again(gpointer data)
{
    struct viewer *viewer = data;
    lucarne_error *error = NULL;
    lucarne_status status;

    gtk_gl_area_make_current(GTK_GL_AREA(viewer->area));
    if (viewer->consumer != NULL)
        status = lucarne_consumer_reconnect(viewer->consumer, &error);
    else
        status = lucarne_consumer_connect(viewer->folder, viewer->name, viewer->device, LUCARNE_USAGE_SAMPLE, NULL, 0,
                                          &viewer->consumer, &error);
    if (status != LUCARNE_STATUS_OK) {
        if (viewer->consumer == NULL && status == LUCARNE_STATUS_NOT_FOUND)
            tell(viewer, "There is no stream \"%s\" yet. Start one, for instance with: lucarne serve %s", viewer->name,
                 viewer->name);
        else if (viewer->consumer == NULL)
            tell(viewer, "The stream cannot be watched: %s", lucarne_error_message(error));
        lucarne_error_free(error); /* After a loss the window says already what to do. */
        return G_SOURCE_CONTINUE;
    }
    viewer->retry = 0;
    viewer->readable = g_unix_fd_add(lucarne_consumer_fd(viewer->consumer), G_IO_IN, receive, viewer);
    receive(0, 0, viewer);
    return G_SOURCE_REMOVE;
}

/* GTK has made its context, and it is current: wrap it. */
static void realized(GtkGLArea *area, struct viewer *viewer)
{
    lucarne_error *error = NULL;
    gtk_gl_area_make_current(area);
    const GError *none = gtk_gl_area_get_error(area);
    if (none != NULL)
        tell(viewer, "GTK has no OpenGL here: %s. Install a driver, such as libgl1-mesa-dri.", none->message);
    else if (lucarne_egl_device_from_current(&viewer->device, &error) != LUCARNE_STATUS_OK)
        tell_error(viewer, "GTK's context cannot share frames", error);
    else if (!quad_create(&viewer->quad, gdk_gl_context_get_use_es(gtk_gl_area_get_context(area))))
        tell(viewer, "GTK's context compiles no shader of OpenGL 3.2 or OpenGL ES 3.");
    else
        viewer->retry = g_timeout_add(RETRY, look_again, viewer);
}

/* The context goes: so does all that was made in it. */
static void unrealized(GtkGLArea *area, struct viewer *viewer)
{
    g_clear_handle_id(&viewer->readable, g_source_remove);
    g_clear_handle_id(&viewer->retry, g_source_remove);
    gtk_gl_area_make_current(area);
    if (viewer->shown != NULL)
        let_go(viewer);
    lucarne_consumer_free(viewer->consumer);
    viewer->consumer = NULL;
    if (viewer->device != NULL)
        quad_destroy(&viewer->quad);
    lucarne_device_free(viewer->device);
    viewer->device = NULL;
}

/* After a picture: the window's pixels, where they were asked for, and the end. */
static void count(struct viewer *viewer)
{
    if (viewer->frames == 0 || ++viewer->drawn_frames < viewer->frames)
        return;
    if (viewer->shot != NULL)
        g_print("copies a frame: %u\n", lucarne_image_copies_per_frame(lucarne_reading_image(viewer->shown)));
    if (viewer->shot != NULL && !quad_write_ppm(viewer->shot)) {
        g_printerr("%s cannot be written: %s\n", viewer->shot, g_strerror(errno));
        viewer->status = 1;
    }
    g_idle_add_once((GSourceOnceFunc)gtk_window_destroy, viewer->window);
    viewer->frames = 0;
}

static gboolean render(GtkGLArea *area, GdkGLContext *context, struct viewer *viewer)
{
    (void)area, (void)context;
    lucarne_error *error = NULL;
    lucarne_gl_texture texture;
    lucarne_frame_layout layout;
    glClearColor(0, 0, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    if (viewer->shown == NULL)
        return TRUE;
    if (lucarne_image_gl_texture(lucarne_reading_image(viewer->shown), &texture, &error) ||
        lucarne_frame_describe(lucarne_reading_frame(viewer->shown), &layout, &error)) {
        tell_error(viewer, "The frame cannot be drawn", error);
        return TRUE;
    }
    quad_draw(&viewer->quad, texture.target, texture.name, layout.width, layout.height);

    /* The same picture may be drawn again, as when the window grows: the newest fence is the one that counts. */
    lucarne_fence *drawn = NULL;
    if (lucarne_egl_fence(viewer->device, PATIENCE, &drawn, &error)) {
        glFinish();
        lucarne_error_free(error);
        lucarne_fence_signaled(&drawn, NULL);
    }
    lucarne_fence_free(viewer->drawn);
    viewer->drawn = drawn;
    count(viewer);
    return TRUE;
}

static void activate(GtkApplication *application, struct viewer *viewer)
{
    viewer->window = gtk_application_window_new(application);
    viewer->area = gtk_gl_area_new();
    viewer->label = gtk_label_new("");
    GtkWidget *overlay = gtk_overlay_new();
    gtk_label_set_wrap(GTK_LABEL(viewer->label), TRUE);
    gtk_widget_add_css_class(viewer->label, "osd");
    gtk_widget_set_valign(viewer->label, GTK_ALIGN_END);
    gtk_overlay_set_child(GTK_OVERLAY(overlay), viewer->area);
    gtk_overlay_add_overlay(GTK_OVERLAY(overlay), viewer->label);
    gtk_gl_area_set_auto_render(GTK_GL_AREA(viewer->area), FALSE);
    g_signal_connect(viewer->area, "realize", G_CALLBACK(realized), viewer);
    g_signal_connect(viewer->area, "unrealize", G_CALLBACK(unrealized), viewer);
    g_signal_connect(viewer->area, "render", G_CALLBACK(render), viewer);
    GtkWindow *window = GTK_WINDOW(viewer->window);
    gtk_window_set_child(window, overlay);
    gtk_window_set_title(window, viewer->name);
    gtk_window_set_default_size(window, 640, 480);
    gtk_window_set_decorated(window, !viewer->fullscreen);
    if (viewer->fullscreen)
        gtk_window_fullscreen(window);
    gtk_window_present(window);
}

int main(int argc, char **argv)
{
    struct viewer viewer = {0};
    const GOptionEntry options[] = {
        {"folder", 0, 0, G_OPTION_ARG_FILENAME, &viewer.folder, "Where the streams are", "FOLDER"},
        {"fullscreen", 0, 0, G_OPTION_ARG_NONE, &viewer.fullscreen, "Fill the screen", NULL},
        {"shot", 0, 0, G_OPTION_ARG_FILENAME, &viewer.shot, "Write the last of N pictures as the window has it (PPM)", "FILE"},
        {"frames", 0, 0, G_OPTION_ARG_INT, &viewer.frames, "End after so many pictures", "N"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    GError *error = NULL;
    GOptionContext *context = g_option_context_new("NAME");
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc != 2) {
        g_printerr("%s\n", error != NULL ? error->message : "usage: gtk4-viewer [OPTIONS] NAME (--help lists them)");
        return 2;
    }
    viewer.name = argv[1];
    viewer.frames = viewer.shot != NULL && viewer.frames == 0 ? 1 : viewer.frames;
    GtkApplication *application = gtk_application_new(NULL, G_APPLICATION_NON_UNIQUE);
    g_signal_connect(application, "activate", G_CALLBACK(activate), &viewer);
    int status = g_application_run(G_APPLICATION(application), 1, argv);
    g_object_unref(application);
    return status != 0 ? status : viewer.status;
}
