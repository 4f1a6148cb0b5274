//! `Y'CbCr` frames: their planes as textures, and a pass that draws those as red, green and blue.

mod texture;
mod to_rgb;

pub use texture::YcbcrTexture;
pub use to_rgb::YcbcrToRgb;
