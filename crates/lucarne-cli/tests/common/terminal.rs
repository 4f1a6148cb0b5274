//! A terminal that a test looks at, and types into.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell in a terminal of its own, which `script` (util-linux) makes.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    keys: ChildStdin,
    shown: Receiver<Vec<u8>>,
    all: String,
}

impl Terminal {
    /// `None`, and a line that says so, where there is no `script`.
    pub(crate) fn open(command: &str) -> Option<Self> {
        let spawned = Command::new("script")
            .args(["--quiet", "--return", "--command", command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = spawned else {
            lucarne_tests::skip::skip("tool", "there is no script (util-linux)");
            return None;
        };
        let mut output = child.stdout.take().expect("a pipe");
        let (to, shown) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if to.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            keys: child.stdin.take().expect("a pipe"),
            child,
            shown,
            all: String::new(),
        })
    }

    /// Waits until something was shown after what was waited for before; gives what came until then.
    pub(crate) fn until(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.all.find(wanted) {
                let rest = self.all.split_off(at + wanted.len());
                return std::mem::replace(&mut self.all, rest);
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "no {wanted:?} in {:?}",
                self.all
            );
            match self.shown.recv_timeout(Duration::from_secs(1)) {
                Ok(bytes) => self.all.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without {wanted:?}: {:?}", self.all)
                }
            }
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it listens");
        self.keys.flush().expect("it listens");
    }
}
