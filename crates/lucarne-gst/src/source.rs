//! The element `lucarnesrc`.

use gst::glib;
use gst::prelude::*;

use crate::stream_source::LucarneSrc as Imp;

/// What happens when there is no producer any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLucarneOnEnd")]
pub(crate) enum OnEnd {
    #[default]
    #[enum_value(name = "Wait for the next producer of this name", nick = "wait")]
    Wait,
    #[enum_value(name = "End the pipeline's stream", nick = "eos")]
    Eos,
}

/// Which frames come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "GstLucarneDelivery")]
pub(crate) enum Delivery {
    #[default]
    #[enum_value(name = "The newest frame; older ones are passed over", nick = "latest")]
    Latest,
    #[enum_value(
        name = "Every frame; the producer waits for this element",
        nick = "every"
    )]
    Every,
}

impl From<Delivery> for lucarne_stream::Delivery {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Latest => Self::Latest,
            Delivery::Every => Self::Every,
        }
    }
}

glib::wrapper! {
    /// The element.
    pub(crate) struct LucarneSrc(ObjectSubclass<Imp>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "lucarnesrc",
        gst::Rank::NONE,
        LucarneSrc::static_type(),
    )
}
