//! Turns of the CPU in a frame's own memory: what is written at an address is what others read, and turns exclude each other.

use std::sync::Arc;

use lucarne::cpu::{Allocator, Image, Mapped, MappedPlane};
use lucarne::{Error, Extent, Fence, Format, Request, Usage, negotiate};
use lucarne_tests::cpu::{open, path, plane_bytes, read, system_heap};
use lucarne_tests::{TIMEOUT, canary, fds, memory};

const EXTENT: Extent = Extent::new(37, 22);

fn image(allocator: &Allocator, format: Format) -> Arc<Image> {
    let device = open(allocator);
    let offer = |usage| device.offer(usage).expect("an offer");
    let request = Request::new(EXTENT)
        .formats(&[format])
        .paths(&[path(allocator)]);
    let agreement = negotiate(&offer(Usage::RENDER), &offer(Usage::SAMPLE), &request);
    let image = device.export(&agreement.expect("an agreement"));
    Arc::new(image.expect("a frame"))
}

/// Copies rows to where they lie.
fn put(plane: MappedPlane, bytes: &[u8]) {
    assert_eq!(bytes.len(), plane.row_bytes * plane.rows);
    for (row, bytes) in bytes.chunks_exact(plane.row_bytes).enumerate() {
        let at = plane.address.wrapping_add(row * plane.pitch);
        // SAFETY: ptr::copy_nonoverlapping: the row lies in the mapping (`Mapped::plane`), whose turn lasts, and a slice never does.
        unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

fn take(plane: MappedPlane) -> Vec<u8> {
    let mut bytes = vec![0; plane.row_bytes * plane.rows];
    for (row, bytes) in bytes.chunks_exact_mut(plane.row_bytes).enumerate() {
        let at = plane.address.wrapping_add(row * plane.pitch);
        // SAFETY: as in `put`, with the roles exchanged.
        unsafe { at.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
    }
    bytes
}

/// The CPU has finished when it passes a frame on.
fn end(turn: Mapped) {
    let done = turn.end().expect("an end");
    assert!(matches!(done, Fence::Signaled), "{done:?}");
}

fn both_ways(allocator: &Allocator) {
    if !memory::can(allocator) {
        return;
    }
    for format in [Format::XRGB8888, Format::NV12] {
        let written = image(allocator, format);
        let seen = open(&Allocator::HostMemory).import(written.frame());
        let seen = Arc::new(seen.expect("a mapped frame"));
        canary::fill(written.frame());
        for number in 0..3 {
            let planes: Vec<Vec<u8>> = (0..written.planes())
                .map(|plane| plane_bytes(&written, plane, number))
                .collect();
            let turn = written
                .map_write(&Fence::Signaled, TIMEOUT)
                .expect("a turn");
            for (index, bytes) in planes.iter().enumerate() {
                put(turn.plane(index).expect("a plane"), bytes);
            }
            let none = turn.plane(planes.len()).expect_err("no such plane");
            assert!(
                matches!(none, Error::Invalid { field: "plane", .. }),
                "{none}"
            );
            let acquire = turn.end().expect("an end");
            assert!(read(&seen, &acquire).0 == planes, "{format}, copied");

            let turn = seen.map_read(&acquire, TIMEOUT).expect("a turn");
            for (index, bytes) in planes.iter().enumerate() {
                assert!(
                    take(turn.plane(index).expect("a plane")) == *bytes,
                    "{format}"
                );
            }
            end(turn);
        }
        canary::assert_untouched(written.frame(), "mapped");
    }
}

#[test]
fn both_ways_in_udmabuf() {
    fds::unchanged(|| both_ways(&Allocator::Udmabuf));
}

#[test]
fn both_ways_in_a_dma_heap() {
    fds::unchanged(|| both_ways(&system_heap()));
}

#[test]
fn both_ways_in_host_memory() {
    fds::unchanged(|| both_ways(&Allocator::HostMemory));
}

#[test]
fn turns_exclude_each_other() {
    let _alone = fds::alone();
    let image = image(&Allocator::HostMemory, Format::XRGB8888);
    let refused = |error: Error| assert!(error.to_string().contains("in use"), "{error}");
    let signaled = Fence::Signaled;

    let writing = image.map_write(&signaled, TIMEOUT).expect("a turn");
    refused(image.map_write(&signaled, TIMEOUT).expect_err("written"));
    refused(image.map_read(&signaled, TIMEOUT).expect_err("written"));
    refused(
        image
            .read(&signaled, TIMEOUT, |_| Ok(()))
            .expect_err("written"),
    );
    refused(
        image
            .write(&signaled, TIMEOUT, |_| Ok(()))
            .expect_err("written"),
    );
    drop(writing);

    let readings = [0; 2].map(|_| image.map_read(&signaled, TIMEOUT).expect("a turn"));
    let third = image.read(&signaled, TIMEOUT, |_| Ok(()));
    assert!(
        third
            .expect("a third reader")
            .is_signaled()
            .expect("a fence")
    );
    for reading in readings {
        refused(image.map_write(&signaled, TIMEOUT).expect_err("read"));
        refused(
            image
                .write(&signaled, TIMEOUT, |_| Ok(()))
                .expect_err("read"),
        );
        drop(reading);
    }
    let inside = image.write(&signaled, TIMEOUT, |_| {
        refused(image.map_read(&signaled, TIMEOUT).expect_err("written"));
        Ok(())
    });
    assert!(inside.expect("a turn").is_signaled().expect("a fence"));
    end(image.map_write(&signaled, TIMEOUT).expect("free again"));
}
