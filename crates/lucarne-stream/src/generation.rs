//! What one agreement became: images, and the slots that they lie in.

use std::sync::Arc;

use lucarne::{Agreement, Fence, Frame, Modifier, Pool};

/// Makes a producer's images. Any closure like this one does, with any backend's device:
///
/// ```
/// # use lucarne::{Agreement, cpu};
/// # fn allocator(device: cpu::Device) -> impl lucarne_stream::Allocate {
/// move |agreement: &Agreement| {
///     let image = device.export(agreement)?;
///     let frame = image.frame().clone();
///     Ok((image, frame))
/// }
/// # }
/// ```
pub trait Allocate {
    /// What the program draws into.
    type Image;

    /// Makes one image as agreed, and the frame that others see of it.
    ///
    /// # Errors
    ///
    /// Whatever the device answers; the stream then tries something else that all sides can do.
    fn allocate(&mut self, agreement: &Agreement) -> lucarne::Result<(Self::Image, Frame)>;
}

impl<F, I> Allocate for F
where
    F: FnMut(&Agreement) -> lucarne::Result<(I, Frame)>,
{
    type Image = I;

    fn allocate(&mut self, agreement: &Agreement) -> lucarne::Result<(I, Frame)> {
        self(agreement)
    }
}

/// Imports a consumer's frames, once for each slot and generation. Any closure like `|frame| device.import(frame)` does.
pub trait Import {
    /// What the program reads from.
    type Image;

    /// Imports one frame.
    ///
    /// # Errors
    ///
    /// Whatever the device answers: the producer hears it, and tries something else.
    fn import(&mut self, frame: &Frame) -> lucarne::Result<Self::Image>;
}

impl<F, I> Import for F
where
    F: FnMut(&Frame) -> lucarne::Result<I>,
{
    type Image = I;

    fn import(&mut self, frame: &Frame) -> lucarne::Result<I> {
        self(frame)
    }
}

/// What one agreement became. `S` is what its images are.
#[derive(Debug)]
pub(crate) struct Generation<S> {
    pub(crate) number: u64,
    pub(crate) agreement: Agreement,
    /// Those that the driver chose.
    pub(crate) modifiers: Vec<Modifier>,
    pub(crate) slots: S,
}

/// A generation's frames, and the program's image of each.
#[derive(Debug)]
pub(crate) struct Slots<I> {
    pub(crate) pool: Pool,
    pub(crate) images: Vec<I>,
}

/// A slot whose turn it is to be written. Dropping it gives it back unsent.
#[derive(Debug)]
#[must_use = "dropping a slot sends nothing"]
pub struct SlotWriting<I> {
    pub(crate) turn: lucarne::Writing,
    pub(crate) generation: Arc<Generation<Slots<I>>>,
}

impl<I> SlotWriting<I> {
    /// The program's own image, to draw into.
    #[expect(
        clippy::missing_panics_doc,
        reason = "there are as many images as slots"
    )]
    #[inline]
    pub fn image(&self) -> &I {
        let images = &self.generation.slots.images;
        images
            .get(self.turn.index())
            .expect("one image for each slot")
    }

    /// What others see of it.
    pub fn frame(&self) -> &Frame {
        self.turn.frame()
    }

    /// Wait for this fence before you write. All readers of the slot are done. But if its last frame was never read, the
    /// slot may still be written: then this is the fence that it was sent with.
    pub fn gate(&self) -> &Fence {
        self.turn.gate()
    }

    /// The slot's number within its generation.
    pub fn index(&self) -> usize {
        self.turn.index()
    }

    /// What was agreed on for it.
    pub fn agreement(&self) -> &Agreement {
        &self.generation.agreement
    }

    /// The generation's number.
    pub fn generation(&self) -> u64 {
        self.generation.number
    }
}
