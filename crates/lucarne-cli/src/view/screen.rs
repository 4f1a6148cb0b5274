//! What draws into the window: OpenGL or Vulkan.

use std::rc::Rc;

use lucarne::{Extent, Fence, Frame, Offer, Usage};
use winit::event_loop::ActiveEventLoop;
use winit::window::{Window, WindowAttributes};

use super::overlay::Panel;
use super::scale::Place;
use super::state::Filter;
use crate::Failure;
use crate::pixels::Picture;

/// Makes of each frame what the screen draws with.
pub(super) type Importer<I> = Box<dyn FnMut(&Frame) -> lucarne::Result<I>>;

/// A window, and the API that draws into it.
pub(super) trait Screen: Sized {
    /// What a frame becomes. It keeps alive what it was made with.
    type Image;
    /// What is done with frames.
    const USAGE: Usage;

    /// Opens a window.
    fn open(event_loop: &ActiveEventLoop, wanted: WindowAttributes) -> Result<Self, Failure>;

    fn window(&self) -> &Window;

    /// The API and its driver, in words.
    fn about(&self) -> String;

    /// What can be shown.
    fn offer(&self) -> lucarne::Result<Offer>;

    fn importer(&self) -> Importer<Self::Image>;

    /// How often a frame is copied here.
    fn copies(image: &Self::Image) -> u32;

    /// The window has another size.
    fn resized(&mut self, window: Extent);

    /// Draws everything.
    fn draw(&mut self, scene: &Scene<'_, Self::Image>) -> Result<Drawn, Failure>;

    /// A frame's pixels, upright.
    fn picture(&mut self, shown: &Shown<'_, Self::Image>) -> Result<Picture, Failure>;

    /// What ends the reading of an image that has left the window; nothing while the display itself reads it. Who draws has read it
    /// when drawing it is done. Does not block.
    fn left(&mut self, image: &Self::Image, drawn: &Fence) -> Result<Option<Fence>, Failure> {
        let _ = image;
        Ok(Some(drawn.clone()))
    }

    /// Hears what the display has to say. What can be shown, where that has changed. Does not block.
    fn hear(&mut self) -> Result<Option<Offer>, Failure> {
        Ok(None)
    }

    /// Takes the picture out of the window.
    fn end(&mut self) {}
}

/// What is to be drawn.
pub(super) struct Scene<'s, I> {
    pub(super) window: Extent,
    pub(super) shown: Option<Shown<'s, I>>,
    pub(super) filter: Filter,
    /// Over the picture, each in a place of its own: the first is always the first one.
    pub(super) panels: [Option<&'s Placed>; PANELS],
}

/// How many panels there can be: the table and the notice.
pub(super) const PANELS: usize = 2;

/// A frame to be drawn.
pub(super) struct Shown<'s, I> {
    pub(super) image: &'s I,
    /// What it came with.
    pub(super) acquire: &'s Fence,
    /// Whether it is drawn for the first time.
    pub(super) is_fresh: bool,
}

/// A panel, and where it is drawn.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) panel: Rc<Panel>,
    pub(super) place: Place,
}

/// What came of drawing.
#[derive(Debug)]
pub(super) enum Drawn {
    /// It is done, and the frame has been read once the fence has signalled; none without a frame.
    Done(Option<Fence>),
    /// There is nothing to draw into at the moment: the window has no pixels, or shows nothing.
    NotNow,
}
