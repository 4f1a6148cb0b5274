//! Godot's device, opened once; and what waits for Godot's frames before it is destroyed.

use std::cell::RefCell;
use std::rc::Rc;

use godot::builtin::Callable;
use godot::classes::{Engine, Os, RenderingDevice, RenderingServer};
use godot::obj::Singleton;
use godot::prelude::Gd;
use lucarne::vulkan::Device;

use crate::ffi::{self, Opened, Retired};

/// Godot's rendering device, and the same as Lucarne sees it.
pub(crate) struct Gpu {
    pub(crate) godot: Gd<RenderingDevice>,
    pub(crate) device: Device,
    /// The layer told what is enabled.
    pub(crate) has_layer: bool,
    /// How many drawn frames it takes until one has finished for sure.
    delay: u64,
}

/// The way frames go in this Godot: on its own device, or through host memory, because of something.
#[derive(Clone)]
pub(crate) enum Way {
    Gpu(Rc<Gpu>),
    Host(String),
}

#[derive(Default)]
struct State {
    way: Option<Way>,
    /// With the number of frames that had been drawn when they came.
    retired: Vec<(u64, Retired)>,
    ended: bool,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// For tests: goes through host memory also where Godot's device could share.
const HOST_MEMORY: &str = "LUCARNE_GODOT_HOST_MEMORY";

/// Asked on Godot's main thread; the first call opens the device.
pub(crate) fn way() -> Way {
    let known = STATE.with_borrow(|state| state.way.clone());
    known.unwrap_or_else(|| {
        let way = find();
        if matches!(way, Way::Gpu(_)) {
            let bury = Callable::from_fn("lucarne_bury", |_| bury(drawn()));
            RenderingServer::singleton().connect("frame_post_draw", &bury);
        }
        STATE.with_borrow_mut(|state| state.way = Some(way.clone()));
        way
    })
}

/// How many frames Godot has drawn, with all of its windows.
pub(crate) fn drawn() -> u64 {
    u64::try_from(Engine::singleton().get_frames_drawn()).unwrap_or(0)
}

fn find() -> Way {
    let server = RenderingServer::singleton();
    let Some(godot) = server.get_rendering_device() else {
        let method = server.get_current_rendering_method();
        let method = if method.is_empty() {
            "headless".to_owned()
        } else {
            method.to_string()
        };
        return Way::Host(format!(
            "the renderer {method} has no rendering device to share memory with; Forward+ and Mobile have one on Vulkan"
        ));
    };
    if Os::singleton().has_environment(HOST_MEMORY) {
        return Way::Host(format!("{HOST_MEMORY} is set"));
    }
    let driver = server.get_current_rendering_driver_name();
    if driver != "vulkan" {
        return Way::Host(format!("the driver {driver} is not Vulkan"));
    }
    if !server.is_on_render_thread() {
        return Way::Host(
            "Godot renders on a thread of its own; set rendering/driver/threads/thread_model to Safe".to_owned(),
        );
    }
    match ffi::open(&godot) {
        Ok(Opened { device, has_layer }) => Way::Gpu(Rc::new(Gpu {
            delay: u64::from(godot.get_frame_delay()) + 1,
            godot,
            device,
            has_layer,
        })),
        Err(reason) => Way::Host(reason),
    }
}

/// Keeps a slot until Godot's frames that may use it have finished. After the end there are none; what comes then is never
/// freed, as is said of a process that ends.
pub(crate) fn retire(slot: Retired) {
    let drawn = drawn();
    STATE.with_borrow_mut(|state| {
        if state.ended {
            std::mem::forget(slot);
        } else {
            state.retired.push((drawn, slot));
        }
    });
}

/// Destroys what no frame of Godot's uses any more.
fn bury(drawn: u64) {
    let (done, gpu) = STATE.with_borrow_mut(|state| {
        let Some(Way::Gpu(gpu)) = state.way.clone() else {
            return (Vec::new(), None);
        };
        let (done, rest) = std::mem::take(&mut state.retired)
            .into_iter()
            .partition(|(since, _)| drawn > since + gpu.delay);
        state.retired = rest;
        (done, Some(gpu))
    });
    let done: Vec<(u64, Retired)> = done;
    if let (Some(gpu), false) = (gpu, done.is_empty()) {
        // Lucarne's own submissions of the slots may be younger.
        ffi::wait_idle(&gpu.device);
    }
}

/// Lets go of Godot's device, which is destroyed after the extensions. Slots that a frame may be recorded with, which nobody submits
/// any more, are left to the end of the process.
pub(crate) fn end() {
    let (way, rest) = STATE.with_borrow_mut(|state| {
        state.ended = true;
        (state.way.take(), std::mem::take(&mut state.retired))
    });
    if let Some(Way::Gpu(gpu)) = way {
        ffi::wait_idle(&gpu.device);
    }
    for (_, slot) in rest {
        if slot.is_taken() {
            std::mem::forget(slot);
        }
    }
}
