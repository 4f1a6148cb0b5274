//! The demo built without the feature `window`, for machines without a display: what opens windows is most of what there is to build.

/// There is none.
#[derive(Debug)]
pub(crate) enum Window {}

impl Window {
    pub(crate) fn open(_: &str, _: u32, _: u32) -> Result<Self, String> {
        Err("this demo was built without it (feature `window`)".to_owned())
    }

    pub(crate) fn poll(&mut self) -> bool {
        match *self {}
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        match *self {}
    }

    pub(crate) fn system(&self) -> &'static str {
        match *self {}
    }

    pub(crate) fn present(&self) -> Result<(), String> {
        match *self {}
    }
}
