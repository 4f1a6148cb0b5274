//! The element `lucarnesink`.

use gst::glib;
use gst::prelude::*;

use crate::stream_sink::LucarneSink as Imp;

glib::wrapper! {
    /// The element.
    pub(crate) struct LucarneSink(ObjectSubclass<Imp>)
        @extends gst_base::BaseSink, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "lucarnesink",
        gst::Rank::NONE,
        LucarneSink::static_type(),
    )
}
