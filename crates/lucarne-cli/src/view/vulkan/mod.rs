//! The window's Vulkan side: the stream's images are sampled, and drawn into a swapchain.
//!
//! One picture is under way at a time: whatever the last one used is free once its fence has signalled.

mod device;
mod painter;
mod panel;
mod swapchain;
mod work;

use std::rc::Rc;
use std::time::Duration;

use ash::vk;
use lucarne::vulkan::{self, Access};
use lucarne::{Extent, Offer, Usage};
use winit::event_loop::ActiveEventLoop;
use winit::window::{Window, WindowAttributes};

use super::samples;
use super::scale::{Corners, Place, upright};
use super::screen::{Drawn, Importer, PANELS, Placed, Scene, Screen, Shown};
use super::state::Filter;
use crate::Failure;
use crate::pixels::{self, Picture};
use crate::watch::showable;
use device::{Device, View};
use painter::{Painter, Quad};
use panel::PanelImage;
use swapchain::{Swapchain, Target};
use work::Work;

/// Longer than any driver takes for one frame.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A window with a swapchain.
pub(super) struct VulkanScreen {
    // Dropped in this order: what is made of a device before it.
    work: Work,
    panels: [Option<(Rc<super::overlay::Panel>, PanelImage)>; PANELS],
    painter: Painter,
    swapchain: Option<Swapchain>,
    device: Rc<Device>,
}

/// A frame's image, which keeps the device alive that it belongs to.
pub(super) struct Import {
    // Dropped in this order.
    view: View,
    image: vulkan::Image,
    can_smooth: bool,
    _device: Rc<Device>,
}

impl Screen for VulkanScreen {
    type Image = Import;
    /// Pictures are saved, too.
    const USAGE: Usage = Usage::SAMPLE.union(Usage::TRANSFER_SOURCE);

    fn open(event_loop: &ActiveEventLoop, wanted: WindowAttributes) -> Result<Self, Failure> {
        let window = event_loop.create_window(wanted)?;
        let device =
            Device::open(window).map_err(|error| format!("{error}; `--api gl` may do better"))?;
        let device = Rc::new(device);
        let work = Work::new(&device)?;
        Ok(Self {
            work,
            panels: [None, None],
            painter: Painter::new(&device)?,
            swapchain: None,
            device,
        })
    }

    fn window(&self) -> &Window {
        self.device.window()
    }

    fn about(&self) -> String {
        let adapter = self.device.lucarne().adapter();
        format!("Vulkan on {}", adapter.name())
    }

    fn offer(&self) -> lucarne::Result<Offer> {
        Ok(showable(self.device.lucarne().offer(Self::USAGE)?))
    }

    fn importer(&self) -> Importer<Import> {
        let device = Rc::clone(&self.device);
        Box::new(move |frame| {
            let image = device.lucarne().import(frame, Self::USAGE)?;
            Ok(Import {
                view: View::new(&device, &image.view_info(Access::Sampled))?,
                can_smooth: device.can_smooth(&image),
                image,
                _device: Rc::clone(&device),
            })
        })
    }

    fn copies(image: &Import) -> u32 {
        image.image.copies_per_frame()
    }

    fn resized(&mut self, _: Extent) {
        // `draw` compares sizes.
    }

    fn draw(&mut self, scene: &Scene<'_, Import>) -> Result<Drawn, Failure> {
        self.work.wait()?;
        let Some(target) = self.target(scene.window)? else {
            return Ok(Drawn::NotNow);
        };
        for (number, placed) in scene.panels.iter().enumerate() {
            self.write(number, *placed)?;
        }
        let quads = self.quads(scene);
        let fresh: Vec<&PanelImage> = self
            .panels
            .iter()
            .flatten()
            .map(|(_, image)| image)
            .collect();
        let record = |commands: vk::CommandBuffer| {
            fresh.iter().for_each(|panel| panel.upload(commands));
            self.painter.record(commands, &target, &quads);
        };
        let read = match &scene.shown {
            Some(shown) => {
                let (lucarne, image) = (self.device.lucarne(), &shown.image.image);
                let read = lucarne.read(image, shown.acquire, TIMEOUT, Access::Sampled, record)?;
                self.work.submit(None, target.ready)?;
                Some(read)
            }
            None => {
                let commands = self.work.record(record)?;
                self.work.submit(Some(commands), target.ready)?;
                None
            }
        };
        self.window().pre_present_notify();
        if let Some(swapchain) = &mut self.swapchain {
            swapchain.present(&target)?;
        }
        Ok(Drawn::Done(read))
    }

    fn picture(&mut self, shown: &Shown<'_, Import>) -> Result<Picture, Failure> {
        let image = &shown.image.image;
        let bytes = self
            .device
            .lucarne()
            .download(image, shown.acquire, TIMEOUT)?;
        let picture = pixels::picture(image.frame().layout(), &bytes);
        Ok(picture.ok_or("the producer sent a format that was not asked for")?)
    }
}

impl VulkanScreen {
    /// What to draw into, once the window shows something.
    fn target(&mut self, window: Extent) -> Result<Option<Target>, Failure> {
        // A swapchain that is out of date is made anew, once.
        for _ in 0..2 {
            if self
                .swapchain
                .as_ref()
                .is_none_or(|chain| !chain.fits(window))
            {
                let old = self.swapchain.take();
                self.swapchain = Swapchain::new(&self.device, self.painter.pass(), window, old)?;
            }
            let Some(swapchain) = &mut self.swapchain else {
                return Ok(None);
            };
            if let Some(target) = swapchain.next()? {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }

    /// Makes a panel's image that of its pixels.
    fn write(&mut self, number: usize, placed: Option<&Placed>) -> Result<(), Failure> {
        let Some(placed) = placed else {
            self.panels[number] = None;
            return Ok(());
        };
        let known = self.panels[number].as_ref();
        if known.is_none_or(|(panel, _)| !Rc::ptr_eq(panel, &placed.panel)) {
            self.panels[number] = None;
            let image = PanelImage::new(&self.device, &placed.panel)?;
            self.panels[number] = Some((Rc::clone(&placed.panel), image));
        }
        Ok(())
    }

    /// The rectangles, the lowest first.
    fn quads(&self, scene: &Scene<'_, Import>) -> Vec<Quad> {
        let frame = scene.shown.as_ref().map(|shown| {
            let layout = shown.image.image.frame().layout();
            let orientation = layout.color().orientation;
            let size = upright(layout.extent(), orientation);
            Quad {
                view: shown.image.view.raw(),
                place: Place::fit(size, scene.window).clip(scene.window),
                corners: Corners::of(orientation),
                is_sharp: scene.filter == Filter::Nearest || !shown.image.can_smooth,
                multiply: samples::is_straight(layout),
            }
        });
        let panels = scene
            .panels
            .iter()
            .zip(&self.panels)
            .filter_map(|(placed, panel)| {
                let (placed, (_, image)) = (placed.as_ref()?, panel.as_ref()?);
                Some(Quad {
                    view: image.view(),
                    place: placed.place.clip(scene.window),
                    corners: Corners::UPRIGHT,
                    is_sharp: true,
                    multiply: false,
                })
            });
        frame.into_iter().chain(panels).collect()
    }
}
