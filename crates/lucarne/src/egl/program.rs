//! Shader programs that cover what they draw to.

use glow::HasContext;

use super::inner::DeviceInner;
use crate::error::{Error, Result};

const VERTEX: &str = "
out vec2 position;
void main() {
    // One triangle that covers everything.
    vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
    position = vec2(corner.x, -corner.y) * 0.5 + 0.5;
    gl_Position = vec4(corner, 0.0, 1.0);
}";

/// A program that runs `fragment`, which begins after `#version`, for every pixel of the viewport. `position` goes from 0 to 1
/// across it, from its upper left.
pub(super) fn link(device: &DeviceInner, fragment: &str) -> Result<glow::NativeProgram> {
    let gl = &device.gl;
    // SAFETY: glCreateProgram with a current context.
    let program =
        unsafe { gl.create_program() }.map_err(|error| Error::driver("glCreateProgram", error))?;
    let linked = attach(device, program, glow::VERTEX_SHADER, VERTEX)
        .and_then(|()| attach(device, program, glow::FRAGMENT_SHADER, fragment))
        .and_then(|()| {
            // SAFETY: glLinkProgram of a program of this context.
            unsafe { gl.link_program(program) };
            // SAFETY: glGetProgramiv, as above.
            if unsafe { gl.get_program_link_status(program) } {
                return Ok(());
            }
            // SAFETY: glGetProgramInfoLog, as above.
            let log = unsafe { gl.get_program_info_log(program) };
            Err(Error::driver("glLinkProgram", log))
        });
    if linked.is_err() {
        // SAFETY: glDeleteProgram, once.
        unsafe { gl.delete_program(program) };
    }
    linked.map(|()| program)
}

fn attach(
    device: &DeviceInner,
    program: glow::NativeProgram,
    kind: u32,
    source: &str,
) -> Result<()> {
    let gl = &device.gl;
    let version = if gl.version().is_embedded {
        "300 es"
    } else {
        "150"
    };
    // SAFETY: glCreateShader with a kind that every version knows.
    let shader = unsafe { gl.create_shader(kind) }
        .map_err(|error| Error::driver("glCreateShader", error))?;
    // SAFETY: glShaderSource of a shader of this context.
    unsafe { gl.shader_source(shader, &format!("#version {version}\n{source}")) };
    // SAFETY: glCompileShader, as above.
    unsafe { gl.compile_shader(shader) };
    // SAFETY: glGetShaderiv, as above.
    let compiled = unsafe { gl.get_shader_compile_status(shader) };
    // SAFETY: glGetShaderInfoLog, as above.
    let log = unsafe { gl.get_shader_info_log(shader) };
    // SAFETY: glAttachShader of two objects of this context.
    unsafe { gl.attach_shader(program, shader) };
    // SAFETY: glDeleteShader: the program keeps it as long as it needs it.
    unsafe { gl.delete_shader(shader) };
    if compiled {
        Ok(())
    } else {
        Err(Error::driver("glCompileShader", log))
    }
}
