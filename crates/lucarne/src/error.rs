//! What can go wrong, and what would make it work.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::device_id::DeviceId;
use crate::format::Format;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that did not happen, and why.
///
/// Each variant says what was asked, what the machine or the caller has instead, and, where one is
/// known, what would make it work. Nothing has changed when an error is returned: file descriptors
/// that were lent stay with the caller. Ones that were handed over are closed.
///
/// `Debug` says the same as `Display`, with a line for each thing that is missing: what a `main` that returns it prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine, driver or context cannot do this at all.
    #[error("{what} is not supported: {}", join(missing))]
    Unsupported {
        /// What was asked for.
        what: String,
        /// Everything that is missing; meeting all of it makes the call possible.
        missing: Vec<Requirement>,
    },
    /// A value from outside this crate is out of its limits.
    #[error("{field} is {got}, but must be {limit}")]
    Invalid {
        /// The value's name, as the type's documentation uses it.
        field: &'static str,
        /// What was given.
        got: String,
        /// What would have been accepted.
        limit: String,
    },
    /// The kernel refused.
    #[error("{operation} failed: {source}{}", hint(help))]
    Os {
        /// The system call and its object.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
        /// What would make it work, or nothing.
        help: &'static str,
    },
    /// A graphics driver refused.
    #[error("{call} failed with {code}{}", hint(help))]
    Driver {
        /// The API entry point.
        call: &'static str,
        /// The API's name for the answer, such as `VK_ERROR_OUT_OF_DEVICE_MEMORY`.
        code: String,
        /// What would make it work, or nothing.
        help: String,
    },
    /// Something did not happen before its deadline.
    #[error("{waiting_for} did not happen within {} ms", after.as_millis())]
    Timeout {
        /// What was waited for.
        waiting_for: &'static str,
        /// The deadline that passed.
        after: Duration,
    },
    /// A fence signalled because the work behind it had ended in an error, a GPU's reset for instance.
    ///
    /// The turn is over all the same: nothing touches the frame any more, and what it holds is undefined. A writer can
    /// go on with [`Fence::Signaled`](crate::Fence::Signaled) in the failed fence's place.
    #[error("the work behind a fence ended in an error: {source}")]
    FenceFailed {
        /// The error that the driver gave the fence.
        source: io::Error,
    },
    /// The frame's memory belongs to a device that this one cannot read.
    #[error(
        "the frame is {} memory of {frame}, which {device} cannot import",
        memory
    )]
    ForeignDevice {
        /// The kind of memory.
        memory: &'static str,
        /// Where the frame's memory was made.
        frame: Box<DeviceId>,
        /// Where it should have been imported.
        device: Box<DeviceId>,
    },
    /// An EGL or GL call was made on a thread where this device's context is not current.
    #[error(
        "{call} needs this device's EGL context to be current on the calling thread: {found}{}",
        hint(help)
    )]
    NotCurrent {
        /// The call that was made.
        call: &'static str,
        /// What is current instead.
        found: &'static str,
        /// What would make it work, or nothing.
        help: &'static str,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { what, missing } if missing.len() > 1 => {
                write!(f, "{what} is not supported:")?;
                missing.iter().try_for_each(|one| write!(f, "\n  {one}"))
            }
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl Error {
    pub(crate) fn invalid(
        field: &'static str,
        got: impl fmt::Display,
        limit: impl fmt::Display,
    ) -> Self {
        Self::Invalid {
            field,
            got: got.to_string(),
            limit: limit.to_string(),
        }
    }

    pub(crate) fn os(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Os {
            operation,
            source: source.into(),
            help: "",
        }
    }

    #[cfg(any(feature = "vulkan", feature = "egl", feature = "gbm"))]
    pub(crate) fn driver(call: &'static str, code: impl fmt::Display) -> Self {
        Self::Driver {
            call,
            code: code.to_string(),
            help: String::new(),
        }
    }

    /// Adds what would make a driver's refusal understood, where nothing is known that helps more.
    #[cfg(any(feature = "vulkan", feature = "egl"))]
    pub(crate) fn with_help(mut self, text: String) -> Self {
        if let Self::Driver { help, .. } = &mut self
            && help.is_empty()
        {
            *help = text;
        }
        self
    }

    pub(crate) fn unsupported(what: impl Into<String>, missing: Vec<Requirement>) -> Self {
        Self::Unsupported {
            what: what.into(),
            missing,
        }
    }

    pub(crate) fn unknown_format(format: Format) -> Self {
        Self::invalid(
            "format",
            format,
            "one of Format::ALL, whose plane geometry is known",
        )
    }
}

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Requirement {
    /// An API extension that the driver does not have, or that was not enabled.
    Extension {
        /// The API, such as "Vulkan device".
        api: &'static str,
        /// The extension's registered name.
        name: &'static str,
        /// Whether the driver has it, so that enabling it is all that is missing.
        available: bool,
    },
    /// A newer version of an API.
    Version {
        /// The API.
        api: &'static str,
        /// The lowest version that will do.
        at_least: &'static str,
        /// What there is.
        found: String,
    },
    /// A device node that is absent or that this process may not open.
    DeviceNode {
        /// The path.
        path: PathBuf,
        /// Whether it is there, so that the permission to open it is all that is missing.
        available: bool,
        /// What the kernel said.
        problem: String,
        /// What to do about it.
        help: &'static str,
    },
    /// A system library that cannot be loaded.
    Library {
        /// Its soname.
        name: &'static str,
        /// The lowest version of what it belongs to.
        at_least: &'static str,
        /// The package of Debian and Ubuntu that has it.
        package: &'static str,
        /// What the loader said.
        problem: String,
    },
    /// A driver of this API: its loader is there, and has loaded none.
    LoadedDriver {
        /// The API, such as "Vulkan".
        api: &'static str,
        /// The package of Debian and Ubuntu that has drivers which need no GPU.
        package: &'static str,
        /// The environment variables that tell the loader where to look, with their values; those that are set.
        settings: Vec<(&'static str, String)>,
    },
    /// A driver without this fault. [`quirks::named`](crate::quirks::named) tells more of it, and how to switch the
    /// guard off.
    Quirk {
        /// The fault's name.
        name: &'static str,
        /// What it means here, as a sentence.
        effect: String,
    },
    /// Something that the driver, or the device, cannot do: another one may.
    Capability {
        /// What it lacks, in its API's own word, such as `VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT` or
        /// `DRM_CAP_SYNCOBJ_TIMELINE`.
        name: &'static str,
        /// What its lack means here, as a sentence.
        effect: String,
    },
    /// A queue family that can do this kind of work.
    QueueFamily {
        /// The kind: "graphics", "compute".
        kind: &'static str,
    },
    /// Something that a package of the system brings.
    Package {
        /// What it is.
        what: &'static str,
        /// The package of Debian and Ubuntu that has it.
        package: &'static str,
    },
    /// The consumer must say that it trusts the producer. Nobody can say so for it.
    TrustedProducer {
        /// What gives it.
        setting: &'static str,
    },
    /// Anything else, as a sentence.
    Other(String),
}

impl Requirement {
    /// A requirement that no other variant stands for, as a sentence.
    pub fn other(sentence: impl Into<String>) -> Self {
        Self::Other(sentence.into())
    }

    /// What to do about it: a command of Debian and Ubuntu where there is one. Nothing where only another driver, device or
    /// program would help.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::DeviceNode { help, .. } => Some((*help).to_owned()),
            Self::LoadedDriver { settings, .. } if !settings.is_empty() => {
                let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
                Some(format!("unset {}", names.join(" ")))
            }
            Self::Library { package, .. }
            | Self::LoadedDriver { package, .. }
            | Self::Package { package, .. } => Some(format!("sudo apt install {package}")),
            _ => None,
        }
    }

    /// What a driver lacks, in its API's own word, and what that means here.
    #[cfg(any(feature = "vulkan", feature = "drm"))]
    pub(crate) fn capability(name: &'static str, effect: impl Into<String>) -> Self {
        let effect = effect.into();
        Self::Capability { name, effect }
    }

    /// A driver, where a loader has found none; `variables` are those that tell it where to look.
    #[cfg(any(feature = "vulkan", feature = "egl"))]
    pub(crate) fn loaded_driver(
        api: &'static str,
        package: &'static str,
        variables: &[&'static str],
    ) -> Self {
        let set = variables.iter().filter_map(|name| {
            let value = std::env::var_os(name)?;
            Some((*name, value.to_string_lossy().into_owned()))
        });
        Self::LoadedDriver {
            api,
            package,
            settings: set.collect(),
        }
    }

    /// A node that could not be opened, and what helps when it is there and when it is not.
    pub(crate) fn device_node(
        path: impl Into<PathBuf>,
        problem: impl Into<io::Error>,
        permission: &'static str,
        presence: &'static str,
    ) -> Self {
        let problem = problem.into();
        let available = problem.kind() == io::ErrorKind::PermissionDenied;
        Self::DeviceNode {
            path: path.into(),
            available,
            problem: problem.to_string(),
            help: if available { permission } else { presence },
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension {
                api,
                name,
                available: true,
            } => {
                write!(
                    f,
                    "needs the {api} extension {name}, which the driver has: enable it"
                )
            }
            Self::Extension { api, name, .. } => {
                write!(
                    f,
                    "needs the {api} extension {name}, which the driver lacks"
                )
            }
            Self::Version {
                api,
                at_least,
                found,
            } => write!(f, "needs {api} {at_least}, found {found}"),
            Self::DeviceNode {
                path,
                problem,
                help,
                ..
            } => write!(f, "needs {} ({problem}): {help}", path.display()),
            Self::Library {
                name,
                at_least,
                package,
                problem,
            } => write!(
                f,
                "needs {name} of {at_least} or newer (package {package} on Debian and Ubuntu): {problem}"
            ),
            Self::LoadedDriver {
                api,
                package,
                settings,
            } => write_loaded_driver(f, api, package, settings),
            Self::Quirk { name, effect } => write!(f, "{effect} (quirk {name})"),
            Self::Capability { effect, .. } => f.write_str(effect),
            Self::QueueFamily { kind } => write!(f, "needs a queue family with {kind}"),
            Self::Package { what, package } => {
                write!(f, "needs {what} (package {package} on Debian and Ubuntu)")
            }
            Self::TrustedProducer { setting } => {
                write!(f, "needs a producer that the consumer trusts ({setting})")
            }
            Self::Other(sentence) => f.write_str(sentence),
        }
    }
}

fn write_loaded_driver(
    f: &mut fmt::Formatter<'_>,
    api: &str,
    package: &str,
    settings: &[(&str, String)],
) -> fmt::Result {
    write!(f, "needs a driver for {api}, and none could be loaded: ")?;
    for (index, (name, value)) in settings.iter().enumerate() {
        let separator = if index == 0 { "" } else { " and " };
        write!(f, "{separator}{name} is \"{value}\"")?;
    }
    match settings {
        [] => write!(
            f,
            "install your GPU's, or Mesa's, which needs no GPU (package {package} on Debian and Ubuntu)"
        ),
        _ => write!(
            f,
            ", which tells the loader where to look: unset it, or name a driver's file that is there (those of package \
             {package} on Debian and Ubuntu need no GPU)"
        ),
    }
}

/// Whether something can be done: `Yes` with its limits, or `No` with everything that is missing.
///
/// ```
/// use lucarne::kernel::Udmabuf;
/// use lucarne::{Requirement, Support};
///
/// /// Whether a rule for `/dev/udmabuf` would be enough.
/// fn lacks_permission(support: &Support) -> bool {
///     let node = |one: &Requirement| matches!(one, Requirement::DeviceNode { available: true, .. });
///     matches!(support, Support::No(missing) if missing.iter().all(node))
/// }
///
/// let support = Udmabuf::probe();
/// if lacks_permission(&support) {
///     eprintln!("{}", support.reason());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support<L = ()> {
    /// It can be done, within these limits.
    Yes(L),
    /// It cannot; each entry is one thing that is missing.
    No(Vec<Requirement>),
}

impl<L> Support<L> {
    /// A `No` for a single reason.
    pub fn no(reason: Requirement) -> Self {
        Self::No(vec![reason])
    }

    /// Whether the answer is `Yes`.
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }

    /// The reasons of a `No`, joined into one sentence; empty for `Yes`.
    pub fn reason(&self) -> String {
        match self {
            Self::Yes(_) => String::new(),
            Self::No(missing) => join(missing),
        }
    }

    /// Turns `No` into [`Error::Unsupported`] for `what`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] with this answer's reasons.
    pub fn require(self, what: &str) -> Result<L> {
        match self {
            Self::Yes(limits) => Ok(limits),
            Self::No(missing) => Err(Error::Unsupported {
                what: what.to_owned(),
                missing,
            }),
        }
    }
}

/// `Debug` that says what `Display` says: what a `main` that returns the error prints.
macro_rules! debug_as_display {
    ($error:ty) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
    };
}
pub(crate) use debug_as_display;

pub(crate) fn join(missing: &[Requirement]) -> String {
    let sentences: Vec<String> = missing.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

fn hint(help: &(impl fmt::Display + ?Sized)) -> String {
    let help = help.to_string();
    if help.is_empty() {
        help
    } else {
        format!(" ({help})")
    }
}
