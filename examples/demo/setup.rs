//! Both devices, what they agree on, and a ring of shared images.

use crate::Result;
use crate::options::Options;
use crate::window::Window;
use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Agreement, Frame, MemoryPath, Offer, Pool, Request, Usage, egl, negotiate, vulkan};
use std::rc::Rc;

/// Images in the ring: one is shown, one is on its way, one is drawn.
const RING: usize = 3;

/// The two sides.
pub(crate) struct Sides {
    pub(crate) instance: Rc<vulkan::Instance>,
    pub(crate) vulkan: vulkan::Device,
    pub(crate) egl: egl::Device,
    pub(crate) vulkan_offer: Offer,
    pub(crate) egl_offer: Offer,
    /// Kept after `egl`, whose context is the window's.
    pub(crate) window: Option<Window>,
    /// Why there is no window.
    pub(crate) off_screen: Option<String>,
}

/// What they share.
pub(crate) struct Ring {
    pub(crate) agreement: Agreement,
    pub(crate) images: Vec<vulkan::Image>,
    pub(crate) pool: Pool,
}

/// Opens a Vulkan device, a window if there can be one, and the EGL device that goes with them.
pub(crate) fn open(options: &Options) -> Result<(Sides, Ring)> {
    let (instance, adapter) = adapter(options.device.as_deref())?;
    let instance = Rc::new(instance);
    let vulkan = adapter.open()?;
    let vulkan_offer = vulkan.offer(Usage::RENDER)?;
    let mut off_screen = if options.no_window {
        None
    } else {
        no_display().map(str::to_owned)
    };
    if !options.no_window && off_screen.is_none() {
        match in_window(options, &instance, &vulkan, &vulkan_offer) {
            Ok(opened) => return Ok(opened),
            Err(reason) => off_screen = Some(format!("a window did not work: {reason}")),
        }
    }
    let egl = matching(&vulkan)?.open()?;
    let egl_offer = egl.offer(Usage::SAMPLE)?;
    let sides = Sides {
        instance,
        vulkan,
        egl,
        vulkan_offer,
        egl_offer,
        window: None,
        off_screen,
    };
    let ring = agree(options, &sides)?;
    Ok((sides, ring))
}

/// Says why no window can be opened here, without trying: no display server is named.
fn no_display() -> Option<&'static str> {
    let named = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    (!named("WAYLAND_DISPLAY") && !named("WAYLAND_SOCKET") && !named("DISPLAY"))
        .then_some("neither WAYLAND_DISPLAY nor DISPLAY is set")
}

fn in_window(
    options: &Options,
    instance: &Rc<vulkan::Instance>,
    vulkan: &vulkan::Device,
    offer: &Offer,
) -> Result<(Sides, Ring)> {
    let window = Window::open(
        "Lucarne: Vulkan \u{2192} OpenGL",
        options.size.width,
        options.size.height,
    )?;
    // SAFETY: `Window::open` made its context current on this thread, where it stays until the window
    // is dropped, which `Sides` does last.
    let egl = unsafe { egl::Device::from_current() }?;
    let sides = Sides {
        instance: Rc::clone(instance),
        vulkan: vulkan.clone(),
        vulkan_offer: offer.clone(),
        egl_offer: egl.offer(Usage::SAMPLE)?,
        egl,
        window: Some(window),
        off_screen: None,
    };
    let ring = agree(options, &sides)?;
    Ok((sides, ring))
}

/// The wanted Vulkan device, else the first that is a GPU, else the first.
fn adapter(wanted: Option<&str>) -> Result<(vulkan::Instance, vulkan::Adapter)> {
    let validation = std::env::var_os("LUCARNE_VALIDATION").is_some_and(|value| value == "1");
    let instance = vulkan::InstanceOptions {
        application: "lucarne demo".into(),
        validation,
    };
    let instance = vulkan::Instance::new(&instance)?;
    let adapters = instance.adapters()?;
    let found = match wanted {
        None => adapters
            .iter()
            .find(|adapter| !adapter.id().software)
            .or(adapters.first()),
        Some(wanted) => {
            let number = wanted.parse::<usize>().ok();
            let part = wanted.to_lowercase();
            let named = adapters
                .iter()
                .find(|adapter| adapter.name().to_lowercase().contains(&part));
            number.and_then(|number| adapters.get(number)).or(named)
        }
    };
    if let Some(adapter) = found {
        return Ok((instance, adapter.clone()));
    }
    let (wanted, names): (_, Vec<&str>) = (
        wanted.unwrap_or_default(),
        adapters.iter().map(vulkan::Adapter::name).collect(),
    );
    Err(format!(
        "no Vulkan device is called {wanted:?}; there are: {}",
        names.join(", ")
    )
    .into())
}

/// The EGL device that is the Vulkan device, else one of the same kind.
fn matching(vulkan: &vulkan::Device) -> Result<egl::Adapter> {
    let id = vulkan.adapter().id();
    let adapters = egl::Adapter::enumerate()?;
    let node = id.render_node.or(id.primary_node);
    let same = adapters.iter().find(|adapter| {
        node.is_some() && [adapter.render_node(), adapter.primary_node()].contains(&node)
    });
    let alike = adapters
        .iter()
        .find(|adapter| adapter.is_software() == id.software);
    let found = same.or(alike).or(adapters.first()).cloned();
    found.ok_or_else(|| "EGL lists no device at all".into())
}

/// Negotiates, exports and imports; what fails when it is tried is struck out, and the next best taken.
fn agree(options: &Options, sides: &Sides) -> Result<Ring> {
    let mut request = Request::new(options.size).paths(&options.path.paths());
    if let Some(format) = options.format {
        request = request.formats(&[format]);
    }
    loop {
        let agreement = negotiate(&sides.vulkan_offer, &sides.egl_offer, &request)?;
        match ring(sides, &agreement) {
            Ok((images, pool)) => {
                return Ok(Ring {
                    agreement,
                    images,
                    pool,
                });
            }
            Err((modifier, reason)) => {
                request = request.strike(Strike {
                    path: agreement.path(),
                    format: Some(agreement.format),
                    modifier,
                    reason,
                });
            }
        }
    }
}

type Failed = (Option<lucarne::Modifier>, StrikeReason);

fn ring(
    sides: &Sides,
    agreement: &Agreement,
) -> std::result::Result<(Vec<vulkan::Image>, Pool), Failed> {
    let mut images = Vec::with_capacity(RING);
    for _ in 0..RING {
        let image = sides
            .vulkan
            .export(agreement)
            .map_err(|error| (None, StrikeReason::ExportFailed(error.to_string())))?;
        let modifier = modifier(image.frame()).filter(|_| agreement.path() == MemoryPath::DmaBuf);
        sides
            .egl
            .import(image.frame())
            .map_err(|error| (modifier, StrikeReason::ImportFailed(error.to_string())))?;
        images.push(image);
    }
    let frames = images.iter().map(|image| image.frame().clone()).collect();
    Ok((images, Pool::new(frames)))
}

pub(crate) fn modifier(frame: &Frame) -> Option<lucarne::Modifier> {
    frame.layout().tiling().modifier()
}
