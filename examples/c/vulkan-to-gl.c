/*
 * Draws with your Vulkan device and shows with your OpenGL context, in one process and one memory: three images, nine frames.
 * Compares every pixel that OpenGL's shader reads.
 */
#include "check.h"
#include "context.h"
#include "renderer.h"

enum { WIDTH = 320, HEIGHT = 200, IMAGES = 3, FRAMES = 9 };

struct drawing {
    VkImage image;
    VkClearColorValue color;
};

/* Lucarne's command buffer is recording, and the image is in the layout of LUCARNE_ACCESS_TRANSFER_DESTINATION. */
static void draw(void *commands, void *data)
{
    const struct drawing *drawing = (const struct drawing *)data;
    const VkImageSubresourceRange all = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
    vkCmdClearColorImage((VkCommandBuffer)commands, drawing->image,
                         VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, &drawing->color, 1, &all);
}

/* The one way that both can do, and why nothing better was possible. */
static lucarne_agreement *agree(lucarne_device *vulkan, lucarne_device *gl)
{
    lucarne_offer *offer;
    lucarne_offer *accept;
    CHECK(lucarne_device_offer, vulkan, LUCARNE_USAGE_TRANSFER_DESTINATION, &offer);
    CHECK(lucarne_device_offer, gl, LUCARNE_USAGE_SAMPLE, &accept);
    lucarne_request *request;
    CHECK(lucarne_request_new, WIDTH, HEIGHT, &request);
    CHECK(lucarne_request_set_usage, request, LUCARNE_USAGE_TRANSFER_DESTINATION,
          LUCARNE_USAGE_SAMPLE);

    lucarne_agreement *agreement;
    CHECK(lucarne_negotiate, offer, accept, request, &agreement);
    const lucarne_reasons *refused = lucarne_agreement_refused(agreement);
    for (size_t i = 0; i < lucarne_reasons_count(refused); i++) {
        lucarne_reason reason;
        CHECK(lucarne_reasons_at, refused, i, &reason);
        printf("not rung %u: %s\n", reason.rung, lucarne_reasons_text(refused, i));
    }
    lucarne_request_free(request);
    lucarne_offer_free(accept);
    lucarne_offer_free(offer);
    return agreement;
}

/* Vulkan's turn. */
static lucarne_fence *write_frame(const lucarne_image *image, const lucarne_fence *gate,
                                  VkClearColorValue color)
{
    lucarne_vulkan_image vk;
    CHECK(lucarne_image_vk_image, image, &vk);
    struct drawing drawing;
    /* A pointer where Vulkan's handles are pointers, a number elsewhere. */
    memcpy(&drawing.image, &vk.image, sizeof drawing.image);
    drawing.color = color;
    lucarne_fence *drawn;
    CHECK(lucarne_vulkan_write, image, gate, TIMEOUT, LUCARNE_ACCESS_TRANSFER_DESTINATION, draw,
          &drawing, &drawn);
    return drawn;
}

/* OpenGL's turn: how many pixels are right. */
static unsigned read_frame(lucarne_device *gl, lucarne_reading *reading, VkClearColorValue color)
{
    static float pixels[4 * WIDTH * HEIGHT];
    lucarne_image *texture;
    /* The same memory gives the same texture again. */
    CHECK(lucarne_device_import, gl, lucarne_reading_frame(reading), LUCARNE_USAGE_SAMPLE, &texture);
    CHECK(lucarne_egl_read, texture, lucarne_reading_acquire(reading), TIMEOUT);
    CHECK(lucarne_egl_download, texture, pixels, 4 * WIDTH * HEIGHT);
    lucarne_fence *done;
    CHECK(lucarne_egl_fence, gl, TIMEOUT, &done);
    CHECK(lucarne_reading_release, reading, done);
    lucarne_fence_free(done);
    lucarne_image_free(texture);
    unsigned right = 0;
    for (unsigned pixel = 0; pixel < WIDTH * HEIGHT; pixel++) {
        unsigned near = 1;
        for (unsigned channel = 0; channel < 3; channel++) {
            float off = pixels[4 * pixel + channel] - color.float32[channel];
            near &= off < 0.01f && off > -0.01f;
        }
        right += near;
    }
    return right;
}

int main(void)
{
    struct renderer renderer;
    lucarne_device *vulkan = renderer_create(&renderer);
    struct context context = context_create();
    lucarne_device *gl;
    CHECK(lucarne_egl_device_from_current, &gl);
    lucarne_agreement *agreement = agree(vulkan, gl);

    lucarne_image *images[IMAGES];
    const lucarne_frame *frames[IMAGES];
    for (unsigned i = 0; i < IMAGES; i++) {
        CHECK(lucarne_device_export, vulkan, agreement, &images[i]);
        frames[i] = lucarne_image_frame(images[i]);
    }
    lucarne_pool *pool;
    CHECK(lucarne_pool_new, frames, IMAGES, &pool);

    unsigned right = 0;
    for (unsigned frame = 0; frame < FRAMES; frame++) {
        VkClearColorValue color;
        color.float32[0] = 0.1f * (float)frame;
        color.float32[1] = 1.0f - 0.1f * (float)frame;
        color.float32[2] = 0.4f;
        color.float32[3] = 1.0f;

        lucarne_writing *writing;
        CHECK(lucarne_pool_acquire, pool, &writing);
        lucarne_fence *drawn = write_frame(images[lucarne_writing_index(writing)],
                                           lucarne_writing_gate(writing), color);
        lucarne_sent *sent;
        CHECK(lucarne_writing_send, writing, drawn, &sent);
        lucarne_fence_free(drawn);
        lucarne_reading *reading;
        CHECK(lucarne_sent_receive, sent, &reading);
        right += read_frame(gl, reading, color);
    }
    lucarne_agreement_info info;
    CHECK(lucarne_agreement_describe, agreement, &info);
    printf("%u of %d pixels are right, on rung %u with %u copies\n", right,
           FRAMES * WIDTH * HEIGHT, info.rung, lucarne_image_copies_per_frame(images[0]));

    lucarne_pool_free(pool);
    for (unsigned i = 0; i < IMAGES; i++) {
        lucarne_image_free(images[i]);
    }
    lucarne_agreement_free(agreement);
    lucarne_device_free(gl);
    lucarne_device_free(vulkan);
    context_destroy(&context);
    renderer_destroy(&renderer);
    return right == FRAMES * WIDTH * HEIGHT ? 0 : 1;
}
