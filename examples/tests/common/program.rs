//! A program at an end of a stream.

use lucarne_examples::stream::Report;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ended when dropped.
pub(crate) struct Program(Child);

impl Program {
    /// Its pictures go into a folder of its own, beside that of the sockets.
    pub(crate) fn start(program: &str, folder: &Path, arguments: &[&str]) -> Self {
        let name = Path::new(program).file_name().expect("a program's path");
        let child = Command::new(program)
            .args(["--json", "--directory"])
            .arg(folder.join("socket"))
            .arg("--output")
            .arg(folder.join(name))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        Self(child.expect("cargo built it"))
    }

    pub(crate) fn pid(&self) -> Pid {
        let pid = i32::try_from(self.0.id()).expect("a process");
        Pid::from_raw(pid).expect("a process")
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill_process(self.pid(), Signal::INT).expect("it runs");
    }

    pub(crate) fn report(mut self) -> Report {
        let out = self.0.stdout.take().expect("piped");
        let text = std::io::read_to_string(out).expect("text");
        assert!(self.0.wait().expect("a child").success());
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
