//! The extensions that Lucarne makes use of, as data.

/// An extension that Lucarne makes use of: whether it is there, what for, and what its absence costs.
///
/// `vulkan::Adapter::extensions` and `egl::Device::extensions` list them. None of them is needed for everything: what is
/// impossible without one is a [`Requirement::Extension`](crate::Requirement::Extension) of that call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Extension {
    /// The API, in the words of [`Requirement::Extension`](crate::Requirement::Extension): "Vulkan device", "EGL client",
    /// "EGL display" or "OpenGL".
    pub api: &'static str,
    /// Its registered name.
    pub name: &'static str,
    /// Whether the driver lists it. Desktop OpenGL also has what some extensions of OpenGL ES add.
    pub present: bool,
    /// What Lucarne does with it.
    pub purpose: &'static str,
    /// What is lost without it.
    pub cost: &'static str,
}
