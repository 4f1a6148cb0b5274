/*
 * Makes frames with your Vulkan device, in command buffers that you submit yourself: Lucarne records two barriers into them.
 *
 *     vulkan-producer NAME FRAMES [FOLDER]
 */
#include "check.h"
#include "pattern.h"
#include "renderer.h"
#include "stream.h"

static struct renderer renderer;
static lucarne_device *device;

/* What your engine keeps for an image of the stream: made once, ended with the image. */
struct slot {
    lucarne_wait_semaphore *wait;
    lucarne_submit_fence *done;
    VkCommandBuffer commands;
    VkBuffer picture;
    VkDeviceMemory memory;
    uint8_t *bytes;
};

static uint32_t visible_memory(uint32_t types)
{
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(renderer.gpu, &memory);
    for (uint32_t i = 0; i < memory.memoryTypeCount; i++) {
        if ((types & (1u << i)) && (memory.memoryTypes[i].propertyFlags & wanted) == wanted) {
            return i;
        }
    }
    fprintf(stderr, "no memory that the CPU can write\n");
    exit(1);
}

static void slot_buffer(struct slot *slot)
{
    VkBufferCreateInfo create;
    memset(&create, 0, sizeof create);
    create.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    create.size = PICTURE_BYTES;
    create.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    VK(vkCreateBuffer(renderer.device, &create, NULL, &slot->picture));
    VkMemoryRequirements needs;
    vkGetBufferMemoryRequirements(renderer.device, slot->picture, &needs);
    VkMemoryAllocateInfo allocate;
    memset(&allocate, 0, sizeof allocate);
    allocate.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocate.allocationSize = needs.size;
    allocate.memoryTypeIndex = visible_memory(needs.memoryTypeBits);
    VK(vkAllocateMemory(renderer.device, &allocate, NULL, &slot->memory));
    VK(vkBindBufferMemory(renderer.device, slot->picture, slot->memory, 0));
    void *mapped;
    VK(vkMapMemory(renderer.device, slot->memory, 0, VK_WHOLE_SIZE, 0, &mapped));
    slot->bytes = (uint8_t *)mapped;
}

/* Lucarne calls this before the image ends, when the stream makes others or ends. */
static void slot_destroy(void *data)
{
    struct slot *slot = (struct slot *)data;
    vkQueueWaitIdle(renderer.queue);
    lucarne_submit_fence_free(slot->done);
    lucarne_wait_semaphore_free(slot->wait);
    vkFreeCommandBuffers(renderer.device, renderer.pool, 1, &slot->commands);
    vkDestroyBuffer(renderer.device, slot->picture, NULL);
    vkFreeMemory(renderer.device, slot->memory, NULL);
    free(slot);
}

static struct slot *slot_of(const lucarne_image *image)
{
    struct slot *slot = (struct slot *)lucarne_image_data(image);
    if (slot != NULL) {
        return slot;
    }
    slot = (struct slot *)calloc(1, sizeof *slot);
    if (slot == NULL) {
        exit(1);
    }
    CHECK(lucarne_wait_semaphore_new, device, &slot->wait);
    CHECK(lucarne_submit_fence_new, device, &slot->done);
    VkCommandBufferAllocateInfo allocate;
    memset(&allocate, 0, sizeof allocate);
    allocate.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    allocate.commandPool = renderer.pool;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    VK(vkAllocateCommandBuffers(renderer.device, &allocate, &slot->commands));
    slot_buffer(slot);
    CHECK(lucarne_image_set_data, image, slot, slot_destroy);
    return slot;
}

/* "Draws" a picture into the image, which is in VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL. */
static void draw(struct slot *slot, const lucarne_image *image)
{
    lucarne_vulkan_image vk;
    CHECK(lucarne_image_vk_image, image, &vk);
    VkImage target;
    memcpy(&target, &vk.image, sizeof target);
    VkBufferImageCopy copy;
    memset(&copy, 0, sizeof copy);
    copy.imageSubresource.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT;
    copy.imageSubresource.layerCount = 1;
    copy.imageExtent.width = WIDTH;
    copy.imageExtent.height = HEIGHT;
    copy.imageExtent.depth = 1;
    vkCmdCopyBufferToImage(slot->commands, slot->picture, target,
                           VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &copy);
}

/* A turn in your own commands. Returns the fence for whoever reads. */
static lucarne_fence *turn(const lucarne_writing *writing, uint64_t frame)
{
    const uint32_t access = LUCARNE_ACCESS_TRANSFER_DESTINATION;
    const lucarne_image *image = lucarne_writing_image(writing);
    struct slot *slot = slot_of(image);
    /* Your own way to know that the slot's last submission has ended. */
    VK(vkQueueWaitIdle(renderer.queue));
    pattern_fill(frame, slot->bytes);

    uint64_t wait_for;
    CHECK(lucarne_wait_semaphore_import, slot->wait, image, lucarne_writing_gate(writing), TIMEOUT,
          &wait_for);
    VkCommandBufferBeginInfo begin;
    memset(&begin, 0, sizeof begin);
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    VK(vkBeginCommandBuffer(slot->commands, &begin));
    CHECK(lucarne_vulkan_acquire_barrier, image, slot->commands, renderer.family, access);
    draw(slot, image);
    CHECK(lucarne_vulkan_release_barrier, image, slot->commands, access);
    VK(vkEndCommandBuffer(slot->commands));

    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    const uint64_t fence_number = lucarne_submit_fence_raw(slot->done);
    VkSemaphore semaphore;
    VkFence fence;
    memcpy(&semaphore, &wait_for, sizeof semaphore);
    memcpy(&fence, &fence_number, sizeof fence);
    VkSubmitInfo submit;
    memset(&submit, 0, sizeof submit);
    submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submit.waitSemaphoreCount = wait_for != 0;
    submit.pWaitSemaphores = &semaphore;
    submit.pWaitDstStageMask = &stage;
    submit.commandBufferCount = 1;
    submit.pCommandBuffers = &slot->commands;
    VK(vkQueueSubmit(renderer.queue, 1, &submit, fence));

    lucarne_fence *drawn;
    CHECK(lucarne_submit_fence_export, slot->done, TIMEOUT, &drawn);
    return drawn;
}

int main(int argc, char **argv)
{
    const struct arguments asked = arguments_of(argc, argv);
    device = renderer_create(&renderer);

    lucarne_request *request;
    CHECK(lucarne_request_new, WIDTH, HEIGHT, &request);
    const uint32_t format = LUCARNE_FORMAT_XBGR8888;
    CHECK(lucarne_request_set_formats, request, &format, 1);
    CHECK(lucarne_request_set_usage, request, LUCARNE_USAGE_TRANSFER_DESTINATION,
          LUCARNE_USAGE_SAMPLE);
    /* A consumer that is slow for once, under a debugger for instance, is not cut off at once. */
    lucarne_producer_options options = {0, 0, 0, 0, 0};
    options.patience = TIMEOUT;
    lucarne_producer *producer;
    CHECK(lucarne_producer_bind, asked.folder, asked.name, device, request, &options, &producer);
    lucarne_request_free(request);

    wait_for_consumer(producer);
    while (lucarne_producer_sequence(producer) < asked.frames) {
        lucarne_writing *writing;
        CHECK(lucarne_producer_acquire, producer, TIMEOUT, &writing);
        lucarne_fence *drawn = turn(writing, lucarne_producer_sequence(producer) + 1);
        CHECK(lucarne_producer_send, producer, writing, drawn, lucarne_now(), NULL);
        lucarne_fence_free(drawn);
    }
    printf("sent %lu frames\n", asked.frames);
    lucarne_producer_end(producer);
    lucarne_device_free(device);
    renderer_destroy(&renderer);
    return 0;
}
