//! What is on the bus: a name, an object with one method, and what its absence means.

use lucarne::Frame;
use lucarne_examples::stream::say;
use lucarne_stream::encode_frame;
use zbus::zvariant::OwnedFd;
use zbus::{fdo, interface, proxy};

pub(crate) const NAME: &str = "org.lucarne.Example";
pub(crate) const OBJECT: &str = "/org/lucarne/Example";

/// What the bus sees: an object with one method.
pub(crate) struct Shared(pub(crate) Frame);

#[interface(name = "org.lucarne.Frame1")]
impl Shared {
    /// The frame: its message, which docs/protocol.md describes, and the descriptors of its memory. D-Bus' types are `ay` and
    /// `ah`; the bus makes new descriptors in the other process, as any Unix socket does.
    #[zbus(out_args("message", "memory"))]
    fn frame(&self) -> fdo::Result<(Vec<u8>, Vec<OwnedFd>)> {
        let failed = |error: &dyn std::error::Error| fdo::Error::Failed(error.to_string());
        let (message, memory) = encode_frame(&self.0).map_err(|error| failed(&error))?;
        // zbus sends descriptors that it owns.
        let own = memory
            .iter()
            .map(|fd| fd.try_clone_to_owned().map(OwnedFd::from));
        let own = own.collect::<std::io::Result<_>>();
        say("fetched");
        Ok((message, own.map_err(|error| failed(&error))?))
    }
}

#[proxy(
    interface = "org.lucarne.Frame1",
    default_service = "org.lucarne.Example",
    default_path = "/org/lucarne/Example",
    gen_async = false
)]
pub(crate) trait Remote {
    fn frame(&self) -> zbus::Result<(Vec<u8>, Vec<OwnedFd>)>;
}

/// What is missing, and how to have it.
pub(crate) fn explained(error: zbus::Error) -> String {
    let unknown =
        matches!(&error, zbus::Error::MethodError(name, ..) if name.ends_with("ServiceUnknown"));
    if unknown {
        return format!("nobody offers a frame as {NAME}: start `dbus offer` on the same bus");
    }
    if let zbus::Error::NameTaken = error {
        return format!("another program offers a frame as {NAME} already");
    }
    let address =
        std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|_| "not set".to_owned());
    format!(
        "the session bus did not answer: {error}. DBUS_SESSION_BUS_ADDRESS is {address}. Where there is no session, \
         `dbus-run-session -- PROGRAM` starts a bus for one program (package dbus-daemon)"
    )
}
