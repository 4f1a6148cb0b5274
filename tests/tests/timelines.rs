//! Turns between values of a timeline semaphore: a turn begins when its value is reached, and signals the next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ash::vk;
use lucarne::vulkan::{self, Access, TimelineValue, Timelines};
use lucarne::{Extent, Fence, Format, MemoryPath};
use lucarne_tests::pair::Pair;
use lucarne_tests::skip::skip;
use lucarne_tests::{TIMEOUT, child};

struct Timeline {
    raw: vk::Semaphore,
    calls: ash::khr::timeline_semaphore::Device,
}

impl Timeline {
    /// A timeline at 0, or `None` where the driver has none.
    #[expect(unsafe_code, reason = "Vulkan calls")]
    fn new(pair: &Pair) -> Option<Self> {
        let adapter = pair.vk.adapter().raw();
        let instance = pair.instance();
        // SAFETY: vkEnumerateDeviceExtensionProperties of a physical device of this instance.
        let listed = unsafe { instance.enumerate_device_extension_properties(adapter) };
        let name = Ok(ash::khr::timeline_semaphore::NAME);
        if !listed
            .expect("extensions")
            .iter()
            .any(|one| one.extension_name_as_c_str() == name)
        {
            skip("software", "this driver has no timeline semaphores");
            return None;
        }
        let calls = ash::khr::timeline_semaphore::Device::new(instance, pair.vk.raw());
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let create = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: vkCreateSemaphore: Lucarne's own devices have the feature where the driver has the extension.
        let raw = unsafe { pair.vk.raw().create_semaphore(&create, None) };
        Some(Self {
            raw: raw.expect("a timeline"),
            calls,
        })
    }

    fn at(&self, value: u64) -> Option<TimelineValue> {
        Some(TimelineValue {
            semaphore: self.raw,
            value,
        })
    }

    #[expect(unsafe_code, reason = "Vulkan calls")]
    fn value(&self) -> u64 {
        // SAFETY: vkGetSemaphoreCounterValueKHR of a timeline of this device.
        unsafe { self.calls.get_semaphore_counter_value(self.raw) }.expect("a value")
    }

    /// Waits for a value: it may come a moment after the turn's fence.
    #[expect(unsafe_code, reason = "Vulkan calls")]
    fn assert_reaches(&self, value: u64) {
        let (semaphores, values) = ([self.raw], [value]);
        let wait = vk::SemaphoreWaitInfo::default()
            .semaphores(&semaphores)
            .values(&values);
        let nanoseconds = u64::try_from(TIMEOUT.as_nanos()).expect("fits");
        // SAFETY: vkWaitSemaphoresKHR of a timeline of this device.
        let reached = unsafe { self.calls.wait_semaphores(&wait, nanoseconds) };
        reached.expect("the turn signals");
        assert_eq!(self.value(), value);
    }

    #[expect(unsafe_code, reason = "Vulkan calls")]
    fn signal(&self, value: u64) {
        let signal = vk::SemaphoreSignalInfo::default()
            .semaphore(self.raw)
            .value(value);
        // SAFETY: vkSignalSemaphoreKHR: above the value, and no other signal is pending.
        unsafe { self.calls.signal_semaphore(&signal) }.expect("a signal");
    }
}

/// An image of any path: host memory is there on every machine.
fn image(pair: &Pair) -> vulkan::Image {
    let extent = Extent::new(64, 32);
    let agreement = pair.agree(MemoryPath::HostMemory, Format::XRGB8888, extent);
    let agreement = agreement.expect("an agreement");
    pair.vk.export(&agreement).expect("an image")
}

#[test]
#[expect(
    unsafe_code,
    reason = "turns on timelines are for callers who keep their rules"
)]
fn turns_begin_and_end_at_values() {
    let pair = Pair::open();
    let Some(timeline) = Timeline::new(&pair) else {
        return;
    };
    let image = image(&pair);
    let access = Access::TransferDestination;
    let ends = Timelines {
        wait: None,
        signal: timeline.at(1),
    };
    // SAFETY: Device::write_with: 1 is above 0, and nothing else signals.
    let written = unsafe {
        pair.vk
            .write_with(&image, &Fence::Signaled, &ends, TIMEOUT, access, |_| {})
    };
    written.expect("a turn").wait(TIMEOUT).expect("an end");
    timeline.assert_reaches(1);

    timeline.signal(2);
    let waits = Timelines {
        wait: timeline.at(2),
        signal: timeline.at(3),
    };
    // SAFETY: Device::write_with: 2 has been signalled, 3 is above it.
    let written = unsafe {
        pair.vk
            .write_with(&image, &Fence::Signaled, &waits, TIMEOUT, access, |_| {})
    };
    written.expect("a turn").wait(TIMEOUT).expect("an end");
    timeline.assert_reaches(3);
    // SAFETY: Device::read_with: refused before anything is submitted.
    let refused = unsafe {
        pair.vk
            .read_with(&image, &Fence::Signaled, &waits, TIMEOUT, access, |_| {})
    };
    assert!(
        refused
            .expect_err("a write")
            .to_string()
            .contains("Sampled")
    );
    drop(image);
    // SAFETY: vkDestroySemaphore: every turn has ended.
    unsafe { pair.vk.raw().destroy_semaphore(timeline.raw, None) };
    pair.assert_valid();
}

/// Without fences to export, a turn may be submitted before what it waits for.
#[test]
#[expect(
    unsafe_code,
    reason = "turns on timelines are for callers who keep their rules"
)]
fn a_turn_waits_for_a_value_that_comes_later() {
    const ME: &str = "a_turn_waits_for_a_value_that_comes_later";
    if !child::is(ME) {
        // Without the preloaded emulation software drivers export none.
        let output = child::run(ME, &[("LD_PRELOAD", "")]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        for line in said.lines().filter(|line| line.starts_with("skipped")) {
            eprintln!("{line}");
        }
        return;
    }
    let pair = Pair::open();
    if pair.producer().fences.export.is_yes() {
        skip(
            "software",
            "this driver exports fences: it must not be made to before their signal is submitted",
        );
        return;
    }
    let Some(timeline) = Timeline::new(&pair) else {
        return;
    };
    let image = image(&pair);
    let access = Access::TransferDestination;
    let released = AtomicBool::new(false);
    let waits = Timelines {
        wait: timeline.at(1),
        signal: timeline.at(2),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(150));
            assert_eq!(timeline.value(), 0, "the turn has not gone ahead");
            released.store(true, Ordering::SeqCst);
            timeline.signal(1);
        });
        // SAFETY: Device::write_with: the thread signals 1 without waiting for this turn, which then signals 2; no fence is
        // exported.
        let written = unsafe {
            pair.vk
                .write_with(&image, &Fence::Signaled, &waits, TIMEOUT, access, |_| {})
        };
        written.expect("a turn").wait(TIMEOUT).expect("an end");
        assert!(
            released.load(Ordering::SeqCst),
            "the turn began before its value"
        );
    });
    timeline.assert_reaches(2);
    drop(image);
    // SAFETY: vkDestroySemaphore: every turn has ended.
    unsafe { pair.vk.raw().destroy_semaphore(timeline.raw, None) };
    pair.assert_valid();
}
