//! What happens to a node.

use lucarne::color::ColorDescription;
use lucarne::negotiate::Strike;
use lucarne::{Extent, Format, MemoryPath, Tiling};

/// What was negotiated with the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The kind of memory: a dma-buf, or host memory where no modifiers were agreed on.
    pub path: MemoryPath,
    /// The pixel format.
    pub format: Format,
    /// How pixels are arranged; linear for host memory.
    pub tiling: Tiling,
    /// The size of the frames.
    pub extent: Extent,
    /// What the numbers mean.
    pub color: ColorDescription,
}

/// What has happened to a node.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A daemon was reached; its version.
    Connected {
        /// As the daemon tells it, "1.4.2".
        daemon: String,
    },
    /// No daemon answers. The node goes on trying while it is dispatched.
    NoDaemon {
        /// Who was asked for.
        reason: String,
    },
    /// The daemon is gone, and all buffers with it. Frames that are being read stay whole. The node goes on trying.
    Lost {
        /// What the connection said.
        reason: String,
    },
    /// The node is in the graph and nothing flows: nobody is linked, or the peer has paused.
    Paused {
        /// Its number in the graph.
        node: u32,
    },
    /// Frames flow.
    Streaming,
    /// A format was agreed on. A producer has allocated its frames; a consumer will import them as they come.
    Negotiated(Negotiated),
    /// Something was tried and did not work. It is struck out, and the rest was announced anew.
    Struck(Strike),
    /// What the peer wants cannot be made. Why, with what both sides have.
    Refused {
        /// Both lists, and each candidate's reason.
        reason: String,
    },
    /// PipeWire has put the stream into its error state.
    Failed {
        /// What PipeWire says.
        reason: String,
    },
    /// A buffer of the peer's was no frame: its descriptors, sizes, strides or planes are wrong. It went back unread.
    BadBuffer(lucarne::Error),
}
