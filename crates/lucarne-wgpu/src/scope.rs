//! Errors of wgpu's as values: what no scope catches ends the program.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lucarne::Result;
use wgpu::ErrorFilter;

use crate::error::refused;

/// Runs `body`; what wgpu has to say against it becomes an error of `call`.
///
/// A lost device says nothing here: wgpu tells the program's own callback.
pub(crate) fn caught<T>(
    device: &wgpu::Device,
    call: &'static str,
    body: impl FnOnce() -> T,
) -> Result<T> {
    let internal = device.push_error_scope(ErrorFilter::Internal);
    let memory = device.push_error_scope(ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(ErrorFilter::Validation);
    let done = body();
    let errors = [
        now(validation.pop()),
        now(memory.pop()),
        now(internal.pop()),
    ];
    match errors.into_iter().flatten().next() {
        None => Ok(done),
        Some(error) => Err(refused(call, error, "")),
    }
}

/// The answer of a future that wgpu has ready: outside browsers a scope's always is.
fn now(future: impl Future<Output = Option<wgpu::Error>>) -> Option<wgpu::Error> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(error) => error,
        Poll::Pending => None,
    }
}
