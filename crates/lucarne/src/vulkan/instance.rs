//! A Vulkan instance for programs that have none of their own.

use std::ffi::{CStr, CString, c_void};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ash::vk;

use super::failed;
use crate::error::{Error, Requirement, Result};

const VALIDATION_LAYER: &CStr = c"VK_LAYER_KHRONOS_validation";

/// What to create an [`Instance`] with.
#[derive(Clone, Debug, Default)]
pub struct InstanceOptions {
    /// `VkApplicationInfo::pApplicationName`; NUL bytes are dropped.
    pub application: String,
    /// Whether to load `VK_LAYER_KHRONOS_validation` and collect what it reports.
    pub validation: bool,
}

/// A `VkInstance` of Lucarne's own. Adapters and devices keep it alive.
#[derive(Debug)]
pub struct Instance {
    pub(super) inner: Arc<InstanceInner>,
}

pub(super) struct InstanceInner {
    pub(super) entry: ash::Entry,
    pub(super) instance: ash::Instance,
    debug: Option<Debug>,
    // Written by the driver's callback until `debug` is gone; boxed so that its address stays.
    messages: Box<Messages>,
}

type Messages = Mutex<Vec<String>>;

struct Debug {
    functions: ash::ext::debug_utils::Instance,
    messenger: vk::DebugUtilsMessengerEXT,
}

impl Instance {
    /// Loads `libvulkan.so.1` and creates a `VkInstance`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] without a Vulkan loader, with one that knows only Vulkan 1.0 or finds no driver, or
    /// without the validation layer where that was asked for; [`Error::Driver`] when creation fails.
    pub fn new(options: &InstanceOptions) -> Result<Self> {
        // SAFETY: Entry::load dlopens the system's Vulkan loader; loading libraries runs their initialisers,
        // and the system's loader is trusted to have sound ones.
        let entry = unsafe { ash::Entry::load() }.map_err(|error| {
            Error::unsupported(
                "Vulkan",
                vec![Requirement::Library {
                    name: "libvulkan.so.1",
                    at_least: "Vulkan 1.1",
                    package: "libvulkan1",
                    problem: error.to_string(),
                }],
            )
        })?;
        let version = instance_version(&entry)?;
        let messages: Box<Messages> = Box::default();
        let name: Vec<u8> = options
            .application
            .bytes()
            .filter(|byte| *byte != 0)
            .collect();
        let name = CString::new(name).unwrap_or_default();
        let info = vk::ApplicationInfo::default()
            .application_name(&name)
            .engine_name(c"lucarne")
            .api_version(version);
        let mut layers = Vec::new();
        let mut extensions = Vec::new();
        let mut messenger = messenger_info(&messages);
        let mut create = vk::InstanceCreateInfo::default().application_info(&info);
        if options.validation {
            require_validation_layer(&entry)?;
            layers.push(VALIDATION_LAYER.as_ptr());
            extensions.push(ash::ext::debug_utils::NAME.as_ptr());
            create = create.push_next(&mut messenger);
        }
        let create = create
            .enabled_layer_names(&layers)
            .enabled_extension_names(&extensions);
        // SAFETY: vkCreateInstance needs valid create info: all of its pointers are locals that outlive the call,
        // and the layer was found above (debug_utils is an extension of that layer).
        let instance =
            unsafe { entry.create_instance(&create, None) }.map_err(|result| match result {
                // The loader's answer where it has no driver to ask.
                vk::Result::ERROR_INCOMPATIBLE_DRIVER => no_driver(),
                other => failed("vkCreateInstance")(other),
            })?;
        let debug = options
            .validation
            .then(|| Debug::new(&entry, &instance, &messages));
        let mut inner = InstanceInner {
            entry,
            instance,
            debug: None,
            messages,
        };
        if let Some(debug) = debug {
            inner.debug = Some(debug?);
        }
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The loader's entry points.
    pub fn entry(&self) -> &ash::Entry {
        &self.inner.entry
    }

    /// The instance, which stays Lucarne's: do not destroy it.
    pub fn raw(&self) -> &ash::Instance {
        &self.inner.instance
    }

    /// What the validation layer has reported so far, errors and warnings, oldest first; empty without it.
    pub fn validation_messages(&self) -> Vec<String> {
        lock(&self.inner.messages).clone()
    }
}

impl Debug {
    fn new(entry: &ash::Entry, instance: &ash::Instance, messages: &Messages) -> Result<Self> {
        let functions = ash::ext::debug_utils::Instance::new(entry, instance);
        let info = messenger_info(messages);
        // SAFETY: vkCreateDebugUtilsMessengerEXT needs the extension enabled, which `Instance::new` did, and user
        // data that outlives the messenger: `messages` is boxed beside it and dropped after it.
        let messenger = unsafe { functions.create_debug_utils_messenger(&info, None) }
            .map_err(failed("vkCreateDebugUtilsMessengerEXT"))?;
        Ok(Self {
            functions,
            messenger,
        })
    }
}

impl Drop for InstanceInner {
    fn drop(&mut self) {
        if let Some(debug) = self.debug.take() {
            // SAFETY: vkDestroyDebugUtilsMessengerEXT: ours, made from this instance, destroyed once.
            unsafe {
                debug
                    .functions
                    .destroy_debug_utils_messenger(debug.messenger, None);
            }
        }
        // SAFETY: vkDestroyInstance (VUID-vkDestroyInstance-instance-00629) needs all children destroyed:
        // adapters and devices hold this value, so they are gone.
        unsafe { self.instance.destroy_instance(None) };
    }
}

impl fmt::Debug for InstanceInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceInner")
            .field("instance", &self.instance.handle())
            .field("validation", &self.debug.is_some())
            .finish_non_exhaustive()
    }
}

/// The loader is there, and has no driver.
pub(super) fn no_driver() -> Error {
    let requirement = Requirement::loaded_driver(
        "Vulkan",
        "mesa-vulkan-drivers",
        &[
            "VK_DRIVER_FILES",
            "VK_ICD_FILENAMES",
            "VK_LOADER_DRIVERS_SELECT",
            "VK_LOADER_DRIVERS_DISABLE",
        ],
    );
    Error::unsupported("Vulkan", vec![requirement])
}

fn instance_version(entry: &ash::Entry) -> Result<u32> {
    // SAFETY: vkEnumerateInstanceVersion has no preconditions.
    let version = unsafe { entry.try_enumerate_instance_version() }
        .map_err(failed("vkEnumerateInstanceVersion"))?
        .unwrap_or(vk::API_VERSION_1_0);
    if version < vk::API_VERSION_1_1 {
        return Err(Error::unsupported(
            "sharing Vulkan memory",
            vec![Requirement::Version {
                api: "the Vulkan loader",
                at_least: "1.1",
                found: "1.0".to_owned(),
            }],
        ));
    }
    // The newest version whose structures these bindings know.
    Ok(version.min(vk::API_VERSION_1_3))
}

fn require_validation_layer(entry: &ash::Entry) -> Result<()> {
    // SAFETY: vkEnumerateInstanceLayerProperties has no preconditions.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }
        .map_err(failed("vkEnumerateInstanceLayerProperties"))?;
    let found = layers
        .iter()
        .any(|layer| layer.layer_name_as_c_str() == Ok(VALIDATION_LAYER));
    if found {
        return Ok(());
    }
    Err(Error::unsupported(
        "Vulkan validation",
        vec![Requirement::Package {
            what: "VK_LAYER_KHRONOS_validation",
            package: "vulkan-validationlayers",
        }],
    ))
}

fn messenger_info(messages: &Messages) -> vk::DebugUtilsMessengerCreateInfoEXT<'static> {
    let severity = vk::DebugUtilsMessageSeverityFlagsEXT::ERROR
        | vk::DebugUtilsMessageSeverityFlagsEXT::WARNING;
    let kind = vk::DebugUtilsMessageTypeFlagsEXT::VALIDATION;
    vk::DebugUtilsMessengerCreateInfoEXT::default()
        .message_severity(severity)
        .message_type(kind)
        .pfn_user_callback(Some(on_message))
        .user_data(std::ptr::from_ref(messages).cast_mut().cast())
}

unsafe extern "system" fn on_message(
    severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    user: *mut c_void,
) -> vk::Bool32 {
    let messages = user.cast_const().cast::<Messages>();
    // SAFETY: the specification passes back the user data given in `messenger_info`, a `Messages` that outlives
    // the messenger; it is only ever shared.
    let messages = unsafe { messages.as_ref() };
    // SAFETY: the specification passes valid callback data for the duration of the call.
    let data = unsafe { data.as_ref() };
    if let (Some(messages), Some(data)) = (messages, data) {
        // SAFETY: the specification says pMessage is a NUL-terminated string, valid during the call.
        let text = unsafe { data.message_as_c_str() };
        let text = text.map_or_else(String::new, |text| text.to_string_lossy().into_owned());
        lock(messages).push(format!("{severity:?}: {text}"));
    }
    vk::FALSE
}

fn lock(messages: &Messages) -> std::sync::MutexGuard<'_, Vec<String>> {
    // A list of strings is valid after any panic.
    messages.lock().unwrap_or_else(PoisonError::into_inner)
}
