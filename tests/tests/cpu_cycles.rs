//! Ten thousand cycles of the CPU's directions: not one descriptor more. Alone in its program, as it counts them.

use lucarne::cpu::{Adapter, Allocator};
use lucarne::{Extent, Fence, Format, MemoryPath, Request, Usage, kernel::DmaHeap, negotiate};
use lucarne_tests::skip::required;
use lucarne_tests::{TIMEOUT, fds, in_guest, memory};

#[test]
fn descriptors_stay_flat() {
    let cycles = if in_guest() { 1000 } else { 10_000 };
    for allocator in [
        Allocator::Udmabuf,
        Allocator::DmaHeap(DmaHeap::SYSTEM.to_owned()),
        Allocator::HostMemory,
    ] {
        let support = Adapter::new(allocator.clone()).support();
        if support.is_yes() {
            cycle(&allocator, cycles);
            continue;
        }
        let kind = memory::skip_kind(&allocator);
        assert!(!required(kind), "{kind}: {}", support.reason());
        eprintln!("skipped case: {kind}: {}", support.reason());
    }
}

fn cycle(allocator: &Allocator, cycles: u32) {
    let before = fds::open();
    for number in 0..cycles {
        let device = Adapter::new(allocator.clone())
            .open()
            .expect("an allocator");
        let path = match allocator {
            Allocator::HostMemory => MemoryPath::HostMemory,
            _ => MemoryPath::DmaBuf,
        };
        let request = Request::new(Extent::new(5, 3))
            .formats(&[Format::NV12])
            .paths(&[path]);
        let offer = device.offer(Usage::RENDER).expect("an offer");
        let agreement = negotiate(&offer, &offer, &request).expect("an agreement");
        let written = device.export(&agreement).expect("an allocated frame");
        let seen = device.import(written.frame()).expect("a mapped frame");
        let row = number.to_le_bytes();
        let mut read = [0; 4];
        let acquire = written
            .write(&Fence::Signaled, TIMEOUT, |rows| {
                rows.write_row(0, 1, &[row[0], row[1], row[2], row[3], 9])?;
                // Every tenth ends in an error: it must close as much.
                if number % 10 == 0 {
                    rows.write_row(9, 9, &[])?;
                }
                Ok(())
            })
            .unwrap_or(Fence::Signaled);
        let released = seen.read(&acquire, TIMEOUT, |rows| {
            let mut bytes = [0; 5];
            rows.read_row(0, 1, &mut bytes)?;
            read.copy_from_slice(&bytes[..4]);
            Ok(())
        });
        assert!(matches!(released, Ok(Fence::Signaled)), "{released:?}");
        assert_eq!(read, row);
    }
    assert_eq!(fds::open(), before, "{allocator}: {:#?}", fds::list());
    eprintln!("{allocator}: {cycles} cycles, {before} descriptors before and after");
}
