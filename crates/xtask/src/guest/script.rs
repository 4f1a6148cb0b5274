//! What the guest runs once its root is mounted: a shell script that leaves a log and a status per program.

use std::fmt::Write;
use std::path::Path;

use super::binaries::TestProgram;
use super::kernel::Kernel;
use super::machine::NUMBER;

/// Where the results folder is mounted in the guest.
const RESULTS: &str = "/run/lucarne/results";

/// What the demo is asked for: an emulated processor renders about a hundred times slower.
const DEMO: &str = "--size 160x120 --frames 3 --path dma-buf --json --no-window";

/// These begin first, so that no guest is left with one of them while the others are done.
const LONGEST: [&str; 5] = ["matrix", "yuv", "bad_input", "streams", "hostile_layouts"];

/// What to run in the guest.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) tests: &'a [TestProgram],
    pub(crate) demo: Option<&'a Path>,
    /// The program lucarne-conformance, and what its report calls the machine.
    pub(crate) matrix: Option<(&'a Path, &'a str)>,
    /// Arguments for the test programs: a filter, as with `cargo test`.
    pub(crate) filter: &'a [String],
    /// The value of `LUCARNE_REQUIRE` outside.
    pub(crate) require: &'a str,
    /// lucarne_exporter.ko, or why there is none.
    pub(crate) exporter: Result<&'a Path, &'a str>,
    /// Seconds that one program may take.
    pub(crate) limit: u64,
}

impl Plan<'_> {
    pub(crate) fn script(&self) -> String {
        let release = &self.kernel.release;
        let modules = quoted(&self.kernel.modules.to_string_lossy());
        let require = quoted(&with_udmabuf(self.require));
        let exporter = match self.exporter {
            Ok(file) => format!("LUCARNE_EXPORTER={}", quoted(&file.to_string_lossy())),
            Err(reason) => format!("LUCARNE_NO_EXPORTER={}", quoted(reason)),
        };
        let limit = self.limit;
        let mut text = format!(
            "# Written by `cargo xtask guest`; runs as the first program of each guest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/run/lucarne/home TMPDIR=/run/lucarne/tmp XDG_RUNTIME_DIR=/run/lucarne/runtime
export LUCARNE_GUEST=1 LUCARNE_REQUIRE={require} PROPTEST_CASES=16
export {exporter}
mkdir -p -m 700 $HOME $XDG_RUNTIME_DIR
mkdir -p -m 1777 $TMPDIR
/run/lucarne/busybox ip link set lo up
mkdir -p /lib/modules && ln -sfn {modules} /lib/modules/{release}
cd {RESULTS}
{{ uname -r; cat /sys/class/misc/udmabuf/dev; [ -c /dev/udmabuf ] && echo present; }} > facts-${NUMBER}

# Runs a program in its folder, unless another guest has taken it: step NAME FOLDER PROGRAM ARGUMENT...
step() {{
    name=$1 folder=$2
    shift 2
    mkdir \"$name.taken\" 2> /dev/null || return 0
    echo \"lucarne-guest: begin $name\"
    read -r began rest < /proc/uptime
    (cd \"$folder\" && CARGO_MANIFEST_DIR=$folder exec timeout -k 5 {limit} \"$@\") > \"$name.log\" 2>&1 < /dev/null
    status=$?
    read -r ended rest < /proc/uptime
    echo \"$status $began $ended\" > \"$name.status\"
}}
"
        );
        self.steps(&mut text);
        _ = writeln!(
            text,
            "echo yes > complete-${NUMBER}\nsync\n/run/lucarne/busybox poweroff -f"
        );
        text
    }

    fn steps(&self, text: &mut String) {
        let filter: Vec<_> = self.filter.iter().map(|f| quoted(f)).collect();
        let filter = filter.join(" ");
        let mut tests: Vec<_> = self.tests.iter().enumerate().collect();
        tests.sort_by_key(|(_, test)| !LONGEST.contains(&&*test.name));
        for (number, test) in tests {
            let folder = quoted(&test.folder.to_string_lossy());
            let program = quoted(&test.program.to_string_lossy());
            // Writing to a string cannot fail.
            _ = writeln!(
                text,
                "step {number:02} {folder} {program} --show-output {filter}"
            );
        }
        if let Some((program, name)) = self.matrix {
            let (program, name) = (quoted(&program.to_string_lossy()), quoted(name));
            _ = writeln!(
                text,
                "step matrix / sh -c '\"$0\" \"$@\" > {RESULTS}/matrix.json' {program} --json --quick --name {name}"
            );
        }
        if let Some(demo) = self.demo {
            let demo = quoted(&demo.to_string_lossy());
            _ = writeln!(
                text,
                "step demo / sh -c '\"$0\" \"$@\" > {RESULTS}/demo.json' {demo} {DEMO} --output {RESULTS}/demo"
            );
        }
    }
}

/// In the guest /dev/udmabuf is real, so a test that skips for want of it is wrong there.
fn with_udmabuf(require: &str) -> String {
    if require.split(',').any(|kind| kind == "udmabuf") {
        require.to_owned()
    } else if require.is_empty() {
        "udmabuf".to_owned()
    } else {
        format!("{require},udmabuf")
    }
}

/// One word for the shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        for word in ["plain", "two words", "it's", "$HOME `x` \"y\"", ""] {
            let echoed = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&echoed.stdout), word);
        }
    }

    #[test]
    fn udmabuf_is_required_once() {
        assert_eq!(with_udmabuf(""), "udmabuf");
        assert_eq!(with_udmabuf("guest,window"), "guest,window,udmabuf");
        assert_eq!(with_udmabuf("udmabuf,gpu"), "udmabuf,gpu");
    }

    fn kernel() -> Kernel {
        Kernel {
            release: "6.12.1".to_owned(),
            image: "/k/vmlinuz".into(),
            modules: "/k/it's here".into(),
        }
    }

    #[test]
    fn scripts_are_scripts() {
        let kernel = kernel();
        let tests = [TestProgram {
            name: "kernel".to_owned(),
            program: "/t/deps/kernel-0".into(),
            folder: "/c/tests".into(),
        }];
        let plan = Plan {
            kernel: &kernel,
            tests: &tests,
            demo: Some(Path::new("/t/demo")),
            matrix: Some((Path::new("/t/matrix"), "the guest's")),
            filter: &["some filter".to_owned()],
            require: "",
            exporter: Err("it's not here"),
            limit: 5,
        };
        let script = plan.script();
        let checked = std::process::Command::new("sh")
            .args(["-n", "-c", &script])
            .status()
            .unwrap();
        assert!(checked.success(), "{script}");
        assert!(
            script.contains("step 00 '/c/tests' '/t/deps/kernel-0' --show-output 'some filter'")
        );
        assert!(script.contains(r"export LUCARNE_NO_EXPORTER='it'\''s not here'"));
    }

    #[test]
    fn a_step_is_run_by_one_guest() {
        let kernel = kernel();
        let plan = Plan {
            kernel: &kernel,
            tests: &[],
            demo: None,
            matrix: None,
            filter: &[],
            require: "",
            exporter: Ok(Path::new("/m/lucarne_exporter.ko")),
            limit: 60,
        };
        let script = plan.script();
        assert!(script.contains("export LUCARNE_EXPORTER='/m/lucarne_exporter.ko'"));
        let begin = script.find("step() {").unwrap();
        let end = script.find("\n}\n").unwrap() + 3;
        let function = &script[begin..end];
        let folder = tempfile::tempdir().unwrap();
        let guest =
            format!("{function}step 00 . sh -c 'echo ran >&2'\nstep 01 . sh -c 'echo ran >&2'");
        let guests: Vec<_> = (0..4)
            .map(|_| {
                let mut shell = std::process::Command::new("sh");
                shell.args(["-c", &guest]).current_dir(folder.path());
                shell.stdout(std::process::Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let begun: Vec<_> = guests
            .into_iter()
            .map(|guest| String::from_utf8(guest.wait_with_output().unwrap().stdout).unwrap())
            .collect();
        for step in ["00", "01"] {
            let line = format!("lucarne-guest: begin {step}");
            assert_eq!(begun.concat().matches(&line).count(), 1, "{begun:?}");
            let log = std::fs::read_to_string(folder.path().join(format!("{step}.log"))).unwrap();
            assert_eq!(log, "ran\n");
        }
    }
}
