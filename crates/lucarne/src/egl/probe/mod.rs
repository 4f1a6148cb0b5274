//! What is tried before it is offered: drivers list more than they can do.

pub(super) mod export;
pub(super) mod foreign;
pub(super) mod memfd;
pub(super) mod ycbcr;
