//! A `libEGL.so.1` of a test's own, in a folder for `LD_LIBRARY_PATH`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::compile;

/// The functions of EGL 1.5, each of which a program may look for when it loads the library.
const FUNCTIONS: [&str; 42] = [
    "eglBindAPI",
    "eglBindTexImage",
    "eglChooseConfig",
    "eglClientWaitSync",
    "eglCopyBuffers",
    "eglCreateContext",
    "eglCreateImage",
    "eglCreatePbufferFromClientBuffer",
    "eglCreatePbufferSurface",
    "eglCreatePixmapSurface",
    "eglCreatePlatformPixmapSurface",
    "eglCreatePlatformWindowSurface",
    "eglCreateSync",
    "eglCreateWindowSurface",
    "eglDestroyContext",
    "eglDestroyImage",
    "eglDestroySurface",
    "eglDestroySync",
    "eglGetConfigAttrib",
    "eglGetConfigs",
    "eglGetCurrentContext",
    "eglGetCurrentDisplay",
    "eglGetCurrentSurface",
    "eglGetDisplay",
    "eglGetError",
    "eglGetPlatformDisplay",
    "eglGetSyncAttrib",
    "eglInitialize",
    "eglMakeCurrent",
    "eglQueryAPI",
    "eglQueryContext",
    "eglQuerySurface",
    "eglReleaseTexImage",
    "eglReleaseThread",
    "eglSurfaceAttrib",
    "eglSwapBuffers",
    "eglSwapInterval",
    "eglTerminate",
    "eglWaitClient",
    "eglWaitGL",
    "eglWaitNative",
    "eglWaitSync",
];

/// Where the loader finds a library.
pub(crate) fn library(name: &str) -> PathBuf {
    let output = Command::new("/sbin/ldconfig").arg("-p").output();
    let known = String::from_utf8_lossy(&output.expect("ldconfig").stdout).into_owned();
    let is_it = |line: &&str| line.trim_start().starts_with(&format!("{name} "));
    let place = known
        .lines()
        .find(is_it)
        .and_then(|line| line.split_once(" => "));
    std::fs::canonicalize(place.expect("a library").1).expect("a file")
}

/// It has these client extensions, and no device.
pub(crate) fn empty(folder: &Path, extensions: &str) {
    let nothing = FUNCTIONS.map(|name| {
        format!("#[unsafe(no_mangle)] pub extern \"C\" fn {name}() -> usize {{ 0 }}\n")
    });
    let code = format!(
        "{}
        #[unsafe(no_mangle)] pub extern \"C\" fn eglQueryString(_: usize, _: i32) -> *const u8 {{ c\"{extensions}\".as_ptr().cast() }}
        extern \"C\" fn devices(_: i32, _: usize, count: *mut i32) -> u32 {{ unsafe {{ *count = 0 }}; 1 }}
        #[unsafe(no_mangle)] pub extern \"C\" fn eglGetProcAddress(name: *const std::ffi::c_char) -> usize {{
            let asked = unsafe {{ std::ffi::CStr::from_ptr(name) }};
            if asked == c\"eglQueryDevicesEXT\" {{ devices as *const () as usize }} else {{ 0 }}
        }}",
        nothing.concat()
    );
    compile(&code, &folder.join("libEGL.so.1"));
}

/// It is the real one, but for one function of an extension, which does something else.
pub(crate) fn faulty(folder: &Path, function: &str, does: &str) {
    let real = library("libEGL.so.1");
    // Every argument of EGL's fits a register, and no function has more than eight.
    let parameters =
        "a: usize, b: usize, c: usize, d: usize, e: usize, f: usize, g: usize, h: usize";
    let call = "(a, b, c, d, e, f, g, h)";
    let passed_on = FUNCTIONS.iter().chain(&["eglQueryString"]).map(|name| {
        format!(
            "#[unsafe(no_mangle)] pub extern \"C\" fn {name}({parameters}) -> usize {{ real(c\"{name}\"){call} }}\n"
        )
    });
    let code = format!(
        "use std::ffi::{{CStr, c_char, c_int, c_void}};
        unsafe extern \"C\" {{
            fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
            fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
        }}
        type Function = extern \"C\" fn(usize, usize, usize, usize, usize, usize, usize, usize) -> usize;
        fn real(name: &CStr) -> Function {{
            static LIBRARY: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
            let library = *LIBRARY.get_or_init(|| unsafe {{ dlopen(c\"{}\".as_ptr(), 2) as usize }});
            unsafe {{ std::mem::transmute(dlsym(library as *mut c_void, name.as_ptr())) }}
        }}
        extern \"C\" fn faulty() -> usize {{ {does} }}
        {}
        #[unsafe(no_mangle)] pub extern \"C\" fn eglGetProcAddress({parameters}) -> usize {{
            let asked = unsafe {{ CStr::from_ptr(a as *const c_char) }};
            if asked == c\"{function}\" {{ faulty as *const () as usize }} else {{ real(c\"eglGetProcAddress\"){call} }}
        }}",
        real.display(),
        passed_on.collect::<String>()
    );
    compile(&code, &folder.join("libEGL.so.1"));
}
