/* What your renderer has already: an instance, a device, a queue and command buffers. It asks Lucarne which extensions to
 * enable; nothing else here knows of it. */
#ifndef RENDERER_H
#define RENDERER_H

#include "check.h"

#include <string.h>
#include <vulkan/vulkan.h>

#define VK(call)                                                                                   \
    do {                                                                                           \
        VkResult result_ = (call);                                                                 \
        if (result_ != VK_SUCCESS) {                                                               \
            fprintf(stderr, "%s: VkResult %d\n", #call, (int)result_);                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct renderer {
    VkInstance instance;
    VkPhysicalDevice gpu;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkCommandPool pool;
};

static inline void renderer_choose(struct renderer *it)
{
    VkApplicationInfo application;
    memset(&application, 0, sizeof application);
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.apiVersion = VK_API_VERSION_1_1;
    VkInstanceCreateInfo create;
    memset(&create, 0, sizeof create);
    create.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    create.pApplicationInfo = &application;
    VK(vkCreateInstance(&create, NULL, &it->instance));
    uint32_t count = 1;
    VkResult listed = vkEnumeratePhysicalDevices(it->instance, &count, &it->gpu);
    if ((listed != VK_SUCCESS && listed != VK_INCOMPLETE) || count == 0) {
        fprintf(stderr, "no Vulkan device\n");
        exit(1);
    }
    VkQueueFamilyProperties families[16];
    count = 16;
    vkGetPhysicalDeviceQueueFamilyProperties(it->gpu, &count, families);
    for (it->family = 0; it->family < count; it->family++) {
        if (families[it->family].queueFlags & VK_QUEUE_GRAPHICS_BIT) {
            return;
        }
    }
    fprintf(stderr, "no queue with graphics\n");
    exit(1);
}

/* Creates the device, with what Lucarne can make use of, and gives it to Lucarne too. */
static inline lucarne_device *renderer_create(struct renderer *it)
{
    renderer_choose(it);
    lucarne_vulkan_adapter *adapter;
    CHECK(lucarne_vulkan_adapter_from_raw, (lucarne_function)vkGetInstanceProcAddr, it->instance,
          it->gpu, &adapter);
    const char *extensions[32];
    uint32_t count = 0;
    while (count < 32 && count < lucarne_vulkan_adapter_extensions(adapter)) {
        extensions[count] = lucarne_vulkan_adapter_extension(adapter, count);
        count++;
    }

    const float priority = 1;
    VkDeviceQueueCreateInfo queue;
    memset(&queue, 0, sizeof queue);
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = it->family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo create;
    memset(&create, 0, sizeof create);
    create.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    create.queueCreateInfoCount = 1;
    create.pQueueCreateInfos = &queue;
    create.enabledExtensionCount = count;
    create.ppEnabledExtensionNames = extensions;
    VK(vkCreateDevice(it->gpu, &create, NULL, &it->device));
    vkGetDeviceQueue(it->device, it->family, 0, &it->queue);

    VkCommandPoolCreateInfo pool;
    memset(&pool, 0, sizeof pool);
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = it->family;
    VK(vkCreateCommandPool(it->device, &pool, NULL, &it->pool));

    lucarne_device *device;
    CHECK(lucarne_vulkan_device_from_raw, adapter, it->device, it->queue, it->family, extensions,
          count, &device);
    lucarne_vulkan_adapter_free(adapter);
    return device;
}

/* After everything of Lucarne's that was made with it has ended. */
static inline void renderer_destroy(struct renderer *it)
{
    vkDestroyCommandPool(it->device, it->pool, NULL);
    vkDestroyDevice(it->device, NULL);
    vkDestroyInstance(it->instance, NULL);
}

#endif
