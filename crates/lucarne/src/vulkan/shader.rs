//! What shaders need around them: layouts, a module, and a descriptor set with a pool of its own.

use std::io::Cursor;
use std::sync::Arc;

use ash::vk;

use super::failed;
use super::inner::DeviceInner;
use super::object::Owned;
use crate::error::{Error, Result};

/// A set with one descriptor of each kind, in the order of their bindings, for one stage.
pub(super) fn set_layout(
    device: &Arc<DeviceInner>,
    stage: vk::ShaderStageFlags,
    kinds: &[vk::DescriptorType],
) -> Result<Owned<vk::DescriptorSetLayout>> {
    let bindings = (0..).zip(kinds).map(|(index, kind)| {
        vk::DescriptorSetLayoutBinding::default()
            .binding(index)
            .descriptor_type(*kind)
            .descriptor_count(1)
            .stage_flags(stage)
    });
    let bindings: Vec<_> = bindings.collect();
    let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
    // SAFETY: vkCreateDescriptorSetLayout: the bindings have numbers of their own, and one descriptor each.
    let layout = unsafe { device.device.create_descriptor_set_layout(&create, None) }
        .map_err(failed("vkCreateDescriptorSetLayout"))?;
    Ok(Owned::new(device, layout))
}

/// One set, and push constants for one stage: 128 bytes at most, which every device has.
pub(super) fn pipeline_layout(
    device: &Arc<DeviceInner>,
    set: &Owned<vk::DescriptorSetLayout>,
    stage: vk::ShaderStageFlags,
    push_bytes: u8,
) -> Result<Owned<vk::PipelineLayout>> {
    let sets = [set.raw()];
    let ranges = [vk::PushConstantRange::default()
        .stage_flags(stage)
        .size(u32::from(push_bytes))];
    let create = vk::PipelineLayoutCreateInfo::default()
        .set_layouts(&sets)
        .push_constant_ranges(&ranges);
    // SAFETY: vkCreatePipelineLayout: every device has 128 bytes of push constants, and four descriptors of each kind for a
    // stage.
    let layout = unsafe { device.device.create_pipeline_layout(&create, None) }
        .map_err(failed("vkCreatePipelineLayout"))?;
    Ok(Owned::new(device, layout))
}

/// A module of this crate's SPIR-V.
pub(super) fn module(device: &Arc<DeviceInner>, code: &[u8]) -> Result<Owned<vk::ShaderModule>> {
    let words = ash::util::read_spv(&mut Cursor::new(code))
        .map_err(|error| Error::os("reading a shader of this crate", error))?;
    let create = vk::ShaderModuleCreateInfo::default().code(&words);
    // SAFETY: vkCreateShaderModule: SPIR-V 1.0 that the shader compiler has validated.
    let module = unsafe { device.device.create_shader_module(&create, None) }
        .map_err(failed("vkCreateShaderModule"))?;
    Ok(Owned::new(device, module))
}

/// A set of a layout that [`set_layout`] made of `kinds`, and the pool that it lives in.
pub(super) fn descriptor_set(
    device: &Arc<DeviceInner>,
    layout: &Owned<vk::DescriptorSetLayout>,
    kinds: &[vk::DescriptorType],
) -> Result<(Owned<vk::DescriptorPool>, vk::DescriptorSet)> {
    let sizes = kinds.iter().map(|kind| {
        vk::DescriptorPoolSize::default()
            .ty(*kind)
            .descriptor_count(1)
    });
    let sizes: Vec<_> = sizes.collect();
    let create = vk::DescriptorPoolCreateInfo::default()
        .max_sets(1)
        .pool_sizes(&sizes);
    // SAFETY: vkCreateDescriptorPool with one set.
    let pool = unsafe { device.device.create_descriptor_pool(&create, None) }
        .map_err(failed("vkCreateDescriptorPool"))?;
    let pool = Owned::new(device, pool);
    let layouts = [layout.raw()];
    let allocate = vk::DescriptorSetAllocateInfo::default()
        .descriptor_pool(pool.raw())
        .set_layouts(&layouts);
    // SAFETY: vkAllocateDescriptorSets: the pool has room for exactly this set.
    let sets = unsafe { device.device.allocate_descriptor_sets(&allocate) }
        .map_err(failed("vkAllocateDescriptorSets"))?;
    let set = sets
        .first()
        .ok_or_else(|| Error::driver("vkAllocateDescriptorSets", "success, but no set"))?;
    Ok((pool, *set))
}
