//! What happens when the library is loaded: everything that must not happen later.

use crate::{forbidden, open, real_ioctl};

/// Run by the dynamic linker before `main`, while there is one thread.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    open::look_up();
    real_ioctl::look_up();
    forbidden::is_forbidden();
}
