//! YUV4MPEG2 files (`.y4m`): raw video with a header, which every video tool reads.

use std::io::Write;
use std::path::Path;

use lucarne::Extent;
use lucarne::color::{Matrix, Range, YcbcrConversion};

use crate::Failure;
use crate::new_file::NewFile;
use crate::pixels::Picture;

/// What each frame begins with.
const FRAME: &[u8] = b"FRAME\n";

/// A file that is being written, under a name of its own until it is whole.
#[derive(Debug)]
pub(crate) struct VideoFile {
    file: NewFile,
    header: u64,
    extent: Extent,
    conversion: YcbcrConversion,
    planes: [Vec<u8>; 3],
}

impl VideoFile {
    pub(crate) fn create(path: &Path, extent: Extent, rate: f64) -> Result<Self, Failure> {
        let mut file = NewFile::create(path)?;
        // Frames a second as a fraction: 29.97 becomes 29970:1000.
        let header = format!(
            "YUV4MPEG2 W{} H{} F{:.0}:1000 Ip A1:1 C444 XCOLORRANGE=LIMITED\n",
            extent.width,
            extent.height,
            rate * 1000.0
        );
        file.write_all(header.as_bytes())?;
        Ok(Self {
            file,
            header: header.len() as u64,
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
        self.file.write_all(FRAME)?;
        for plane in &self.planes {
            self.file.write_all(plane)?;
        }
        Ok(())
    }

    /// Writes what has waited for more until now.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.file.flush()?)
    }

    /// After a failure: the frames that are whole get the file's name. Says how many they are; without any there is no file.
    pub(crate) fn keep(self) -> Result<u64, Failure> {
        let pixels = u64::from(self.extent.width) * u64::from(self.extent.height);
        let frame = FRAME.len() as u64 + 3 * pixels;
        let header = self.header;
        let frames = |length: u64| length.saturating_sub(header) / frame;
        let kept = self.file.keep(|length| match frames(length) {
            0 => 0,
            count => header + count * frame,
        })?;
        Ok(frames(kept))
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        Ok(self.file.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.y4m");
        let extent = Extent::new(2, 1);
        let create = || VideoFile::create(&path, extent, 25.0).expect("a file");
        assert_eq!(create().keep().expect("no file"), 0);
        assert!(!path.exists());
        let mut file = create();
        file.file
            .write_all(b"FRAME\n123456FRAME\n12")
            .expect("written");
        assert_eq!(file.keep().expect("kept"), 1);
        let bytes = std::fs::read(&path).expect("a file");
        assert!(bytes.ends_with(b"LIMITED\nFRAME\n123456"), "{bytes:?}");
    }

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
