//! YUV4MPEG2 files (`.y4m`): raw video with a header, which every video tool reads.

use std::io::Write;
use std::path::Path;

use lucarne::Extent;
use lucarne::color::{Matrix, Range, YcbcrConversion};

use crate::Failure;
use crate::new_file::NewFile;
use crate::pixels::Picture;

/// A file that is being written, under a name of its own until it is whole.
#[derive(Debug)]
pub(crate) struct VideoFile {
    file: NewFile,
    extent: Extent,
    conversion: YcbcrConversion,
    planes: [Vec<u8>; 3],
}

impl VideoFile {
    pub(crate) fn create(path: &Path, extent: Extent, rate: f64) -> Result<Self, Failure> {
        let mut file = NewFile::create(path)?;
        // Frames a second as a fraction: 29.97 becomes 29970:1000.
        writeln!(
            file,
            "YUV4MPEG2 W{} H{} F{:.0}:1000 Ip A1:1 C444 XCOLORRANGE=LIMITED",
            extent.width,
            extent.height,
            rate * 1000.0
        )?;
        Ok(Self {
            file,
            extent,
            conversion: YcbcrConversion::new(Matrix::Bt709, Range::Limited, 8)?,
            planes: Default::default(),
        })
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    pub(crate) fn write(&mut self, picture: &Picture) -> Result<(), Failure> {
        self.planes.iter_mut().for_each(Vec::clear);
        for pixel in &picture.pixels {
            let rgb = [pixel[0], pixel[1], pixel[2]].map(|value| f64::from(value) / 65535.0);
            let codes = self.conversion.quantize(self.conversion.codes(rgb));
            for (plane, code) in self.planes.iter_mut().zip(codes) {
                plane.push(u8::try_from(code).unwrap_or(u8::MAX));
            }
        }
        self.file.write_all(b"FRAME\n")?;
        for plane in &self.planes {
            self.file.write_all(plane)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        Ok(self.file.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_header_and_three_planes_a_frame() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.y4m");
        let extent = Extent::new(2, 1);
        let mut file = VideoFile::create(&path, extent, 29.97).expect("a file");
        let picture = Picture {
            extent,
            pixels: vec![[0, 0, 0, u16::MAX], [u16::MAX; 4]],
            deep: false,
            alpha: false,
        };
        file.write(&picture).expect("written");
        assert!(!path.exists(), "no file before it is whole");
        file.finish().expect("renamed");
        let bytes = std::fs::read(&path).expect("a file");
        let header = b"YUV4MPEG2 W2 H1 F29970:1000 Ip A1:1 C444 XCOLORRANGE=LIMITED\n";
        assert_eq!(&bytes[..header.len()], header);
        // Black and white in BT.709, limited: luma 16 and 235, chroma in the middle.
        assert_eq!(&bytes[header.len()..], b"FRAME\n\x10\xeb\x80\x80\x80\x80");
    }
}
