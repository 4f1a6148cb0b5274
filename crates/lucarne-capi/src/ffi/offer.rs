//! Offers and agreements.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;

use lucarne::{Agreement, Comparison, Offer, Support, negotiate};

use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};
use super::reasons::lucarne_reasons;
use super::request::lucarne_request;
use crate::convert;
use crate::failure::Failure;
use crate::reasons::{self, Line};
use crate::text::c_text;

/// What a device can do for sharing. End it with `lucarne_offer_free`. Any thread, several at once.
#[derive(Debug)]
pub struct lucarne_offer {
    offer: Offer,
    name: CString,
    /// Why each path that is missing is missing.
    missing: Vec<(u32, lucarne_reasons)>,
}

impl lucarne_offer {
    pub(super) fn new(offer: Offer) -> Self {
        let missing = offer.paths.iter().filter_map(|(path, support)| {
            let Support::No(missing) = support else {
                return None;
            };
            let lines = missing.iter().map(Line::of_missing).collect();
            Some((convert::path_code(*path), lucarne_reasons::new(lines)))
        });
        Self {
            missing: missing.collect(),
            name: c_text(&offer.name),
            offer,
        }
    }

    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }
}

/// One thing that a device can do: a format in a layout, in one kind of memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_offer_entry {
    /// The memory: `LUCARNE_PATH_…`.
    pub path: u32,
    /// DRM's code of the format.
    pub format: u32,
    /// DRM's code of the layout; `LUCARNE_MODIFIER_INVALID` for one that only the driver knows.
    pub modifier: u64,
    /// How many memory planes it has.
    pub planes: u32,
    /// What can be done with such an image: bits of `LUCARNE_USAGE_…`.
    pub usage: u32,
    /// The widest image, in pixels.
    pub max_width: u32,
    /// The highest image, in rows.
    pub max_height: u32,
    /// 1 where this side can make such memory for others.
    pub exportable: u32,
    /// 1 where this side can use such memory of others.
    pub importable: u32,
    /// 1 where such a texture is sampled through `GL_TEXTURE_EXTERNAL_OES` only.
    pub external_only: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Who offers: the API and the device's name. Lives as long as `offer`. `NULL` only for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_name(offer: Option<&lucarne_offer>) -> *const c_char {
    offer.map_or(std::ptr::null(), |offer| offer.name.as_ptr())
}

/// Whether the device has this way (`LUCARNE_PATH_…`) to share memory at all.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_has_path(offer: Option<&lucarne_offer>, path: u32) -> bool {
    guard::plain(false, || {
        let (Some(offer), Ok(path)) = (offer, convert::path(path)) else {
            return false;
        };
        offer.offer.path(path).is_yes()
    })
}

/// Why the device lacks this way (`LUCARNE_PATH_…`) to share memory: all that is missing. `NULL` where it has it. Lives as long as
/// `offer`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_path_reasons(
    offer: Option<&lucarne_offer>,
    path: u32,
) -> Option<&lucarne_reasons> {
    let missing = offer?.missing.iter().find(|(known, _)| *known == path)?;
    Some(&missing.1)
}

/// How many entries there are: what the device lists and was not seen to do wrongly. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_entries(offer: Option<&lucarne_offer>) -> usize {
    guard::plain(0, || {
        offer.map_or(0, |offer| offer.offer.standing().count())
    })
}

/// The entry at `index`, from 0.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_entry_at(
    offer: Option<&lucarne_offer>,
    index: usize,
    entry: Option<&mut MaybeUninit<lucarne_offer_entry>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(entry, "entry", error, || {
        let offer = &given(offer, "offer")?.offer;
        let found = offer.standing().nth(index).ok_or_else(|| {
            let count = offer.standing().count();
            Failure::argument("index", index, format!("below {count}"))
        })?;
        Ok(lucarne_offer_entry {
            path: convert::path_code(found.path),
            format: found.format.fourcc(),
            modifier: found.tiling.code(),
            planes: u32::from(found.planes),
            usage: found.usage.bits(),
            max_width: found.max_extent.width,
            max_height: found.max_extent.height,
            exportable: u32::from(found.exportable),
            importable: u32::from(found.importable),
            external_only: u32::from(found.external_only),
            reserved: 0,
        })
    })
}

/// Whether the device can give a sync_file that signals when its work is done. Otherwise the CPU waits.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_exports_fences(offer: Option<&lucarne_offer>) -> bool {
    offer.is_some_and(|offer| offer.offer.fences.export.is_yes())
}

/// Whether the device's work can wait for a sync_file. Otherwise the CPU waits.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_imports_fences(offer: Option<&lucarne_offer>) -> bool {
    offer.is_some_and(|offer| offer.offer.fences.import.is_yes())
}

/// Ends an offer. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_offer_free(offer: Option<Box<lucarne_offer>>) {
    guard::free(offer);
}

/// What both sides will do. End it with `lucarne_agreement_free`. Any thread, several at once.
#[derive(Debug)]
pub struct lucarne_agreement {
    agreement: Agreement,
    refused: lucarne_reasons,
}

impl lucarne_agreement {
    pub(super) fn agreement(&self) -> &Agreement {
        &self.agreement
    }
}

/// An agreement in numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_agreement_info {
    /// The rung of the ladder: 1 tiled dma-buf, 2 linear dma-buf, 3 opaque descriptor, 4 host memory.
    pub rung: u32,
    /// The memory: `LUCARNE_PATH_…`.
    pub path: u32,
    /// DRM's code of the format.
    pub format: u32,
    /// The frames' width in pixels.
    pub width: u32,
    /// The frames' height in rows.
    pub height: u32,
    /// What the producer does with them: bits of `LUCARNE_USAGE_…`.
    pub producer_usage: u32,
    /// What the consumer does with them.
    pub consumer_usage: u32,
    /// 1 where both are certainly one device.
    pub same_device: u32,
    /// How acquire fences reach the consumer: `LUCARNE_FENCE_PATH_…`.
    pub acquire_fence: u32,
    /// How release fences reach the producer.
    pub release_fence: u32,
}

/// Finds the best way to share that both offers and the request allow. Calls no driver. On `LUCARNE_STATUS_REFUSED` the error's
/// reasons tell of every rung why not. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_negotiate(
    producer: Option<&lucarne_offer>,
    consumer: Option<&lucarne_offer>,
    request: Option<&lucarne_request>,
    agreement: Option<&mut MaybeUninit<Option<Box<lucarne_agreement>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(agreement, "agreement", error, || {
        let producer = given(producer, "producer")?.offer();
        let consumer = given(consumer, "consumer")?.offer();
        let request = given(request, "request")?.request();
        let agreement = negotiate(producer, consumer, request)?;
        Ok(lucarne_agreement {
            refused: lucarne_reasons::new(reasons::lines(&agreement.refused)),
            agreement,
        })
    })
}

/// What was agreed on.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_agreement_describe(
    agreement: Option<&lucarne_agreement>,
    info: Option<&mut MaybeUninit<lucarne_agreement_info>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(info, "info", error, || {
        let agreed = given(agreement, "agreement")?.agreement();
        Ok(lucarne_agreement_info {
            rung: u32::from(agreed.rung.number()),
            path: convert::path_code(agreed.path()),
            format: agreed.format.fourcc(),
            width: agreed.extent.width,
            height: agreed.extent.height,
            producer_usage: agreed.producer.bits(),
            consumer_usage: agreed.consumer.bits(),
            same_device: u32::from(agreed.devices == Comparison::Same),
            acquire_fence: convert::fence_path(&agreed.acquire),
            release_fence: convert::fence_path(&agreed.release),
        })
    })
}

/// Writes the modifiers that both sides can use, as many as fit; the exporting driver chooses among them. Returns how many there
/// are: call it with a `capacity` of 0 to learn that.
///
/// # Safety
///
/// `modifiers` is `NULL`, or has room for `capacity` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_agreement_modifiers(
    agreement: Option<&lucarne_agreement>,
    modifiers: *mut u64,
    capacity: usize,
) -> usize {
    guard::plain(0, || {
        let Some(agreement) = agreement else { return 0 };
        let known = &agreement.agreement().modifiers;
        // SAFETY: this function's contract.
        let places = unsafe { guard::places(modifiers, capacity, "modifiers") };
        for (place, modifier) in places.unwrap_or_default().iter_mut().zip(known) {
            place.write(modifier.code());
        }
        known.len()
    })
}

/// Why each better rung was refused. Empty where nothing better exists. Lives as long as `agreement`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_agreement_refused(
    agreement: Option<&lucarne_agreement>,
) -> Option<&lucarne_reasons> {
    agreement.map(|agreement| &agreement.refused)
}

/// Ends an agreement. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_agreement_free(agreement: Option<Box<lucarne_agreement>>) {
    guard::free(agreement);
}
