//! The doctor on kernels that cannot, or may not, do something: filters of system calls stand for them.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use lucarne::kernel::{Memfd, SyncFile, Udmabuf};
use rustix::fs::{Mode, OFlags};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// The name of the kernel that a child is to live on.
const ROLE: &str = "LUCARNE_TEST_ROLE";
const IS_X86: bool = cfg!(target_arch = "x86_64");

const EPERM: u32 = 1;
const EINVAL: u32 = 22;
const ENOTTY: u32 = 25;
const ENOSYS: u32 = 38;

/// A kernel that answers some system calls with an error.
struct Kernel {
    /// The test that it is for.
    test: &'static str,
    call: i64,
    /// The values of the second argument that are refused; any where there is none.
    arguments: &'static [u64],
    errno: u32,
}

const WITHOUT_SYNC_FILES: Kernel = Kernel {
    test: "a_kernel_without_sync_file_ioctls_is_told",
    // ioctl
    call: if IS_X86 { 16 } else { 29 },
    // DMA_BUF_IOCTL_EXPORT_SYNC_FILE and IMPORT, SYNC_IOC_MERGE and FILE_INFO.
    arguments: &[0xc008_6202, 0x4008_6203, 0xc030_3e03, 0xc038_3e04],
    errno: ENOTTY,
};
const WITHOUT_MEMFDS: Kernel = Kernel {
    test: "a_kernel_without_memfds_is_told",
    // memfd_create
    call: if IS_X86 { 319 } else { 279 },
    arguments: &[],
    errno: ENOSYS,
};
const WITHOUT_SEALS: Kernel = Kernel {
    test: "a_kernel_without_seals_is_told",
    // fcntl, F_ADD_SEALS
    call: if IS_X86 { 72 } else { 25 },
    arguments: &[1033],
    errno: EINVAL,
};
const WITHOUT_FETCHING: Kernel = Kernel {
    test: "a_kernel_that_does_not_know_pidfd_getfd_is_told",
    // pidfd_getfd
    call: 438,
    arguments: &[],
    errno: ENOSYS,
};
const FORBIDDEN_FETCHING: Kernel = Kernel {
    test: "a_filter_that_forbids_pidfd_getfd_is_told",
    errno: EPERM,
    ..WITHOUT_FETCHING
};

impl Kernel {
    /// From here on this process, and those that it starts, live on such a kernel.
    fn enter(&self) {
        let rule = |argument: &u64| {
            let is = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *argument);
            SeccompRule::new(vec![is.expect("a condition")]).expect("a rule")
        };
        // No rule at all means any argument.
        let rules = self.arguments.iter().map(rule).collect();
        let filter = SeccompFilter::new(
            BTreeMap::from([(self.call, rules)]),
            SeccompAction::Allow,
            SeccompAction::Errno(self.errno),
            std::env::consts::ARCH.try_into().expect("an architecture"),
        );
        let program: BpfProgram = filter.expect("a filter").try_into().expect("a program");
        apply_filter(&program).expect("a kernel with filters");
    }

    /// The report of a doctor on it; nothing in the child, which becomes the doctor and does not come back. `was_refused` says
    /// there whether the filter answers.
    fn report(&self, arguments: &[&str], was_refused: impl Fn() -> bool) -> serde_json::Value {
        if std::env::var(ROLE).is_ok_and(|role| role == self.test) {
            assert!(!was_refused(), "{}: before the filter", self.test);
            self.enter();
            assert!(was_refused(), "{}: the filter answers", self.test);
            let error = Command::new(env!("CARGO_BIN_EXE_lucarne"))
                .args(["doctor", "--json"])
                .args(arguments)
                .exec();
            panic!("{error}");
        }
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args([self.test, "--exact", "--nocapture"])
            .env(ROLE, self.test)
            .output()
            .expect("this program, once more");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{text}{complaint}");
        let json = text.lines().find(|line| line.starts_with('{'));
        serde_json::from_str(json.expect("a report")).expect("JSON")
    }
}

/// What the report says of a feature whose name has this in it.
fn feature<'r>(report: &'r serde_json::Value, name: &str) -> &'r serde_json::Value {
    let all = report["machine"]["features"].as_array().expect("features");
    let is_it = |one: &&serde_json::Value| {
        let told = one["name"].as_str();
        told.is_some_and(|told| told.contains(name))
    };
    all.iter().find(is_it).expect("it is told")
}

/// It does not work, and these words say why.
fn assert_lacks(report: &serde_json::Value, name: &str, parts: &[&str]) {
    let told = feature(report, name);
    assert_eq!(told["works"], false, "{told}");
    let detail = told["detail"].as_str().expect("why");
    for part in parts {
        assert!(detail.contains(part), "{part:?}: {detail}");
    }
}

/// What the kernel says of a descriptor that is no fence, and may not be used: before it looks at that, the filter answers.
fn no_fence() -> String {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let path = rustix::fs::open("/dev/null", flags, Mode::empty()).expect("a path");
    let fence = SyncFile::new(path).expect_err("no fence");
    fence.to_string()
}

#[test]
fn a_kernel_without_sync_file_ioctls_is_told() {
    let before = no_fence();
    let report = WITHOUT_SYNC_FILES.report(&[], || no_fence() != before);
    let verdict = report["verdict"].as_str().expect("a verdict");
    assert!(
        verdict.starts_with("zero-copy"),
        "nothing needs them: {report}"
    );
    let feature = feature(&report, "EXPORT_SYNC_FILE");
    assert_ne!(feature["works"], true, "{feature}");
    if Udmabuf::open().is_ok() && std::env::var_os("LD_PRELOAD").is_none() {
        let detail = feature["detail"].as_str().expect("why");
        assert!(detail.contains("needs Linux 6.0"), "{detail}");
    } else {
        eprintln!("skipped case: udmabuf: only a real dma-buf is asked for its fences");
    }
}

fn no_memfd() -> bool {
    Memfd::create("doctor", 4096).is_err()
}

#[test]
fn a_kernel_without_memfds_is_told() {
    let report = WITHOUT_MEMFDS.report(&["--no-trials"], no_memfd);
    let why = ["memfd_create", "host memory cannot be shared"];
    assert_lacks(&report, "sealed memfds", &why);
}

#[test]
fn a_kernel_without_seals_is_told() {
    let report = WITHOUT_SEALS.report(&["--no-trials"], no_memfd);
    let why = ["host memory cannot be shared"];
    assert_lacks(&report, "sealed memfds", &why);
}

/// Whether standard input cannot be fetched from this very process.
fn no_fetching() -> bool {
    let own = rustix::process::getpid();
    let process = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty());
    let flags = rustix::process::PidfdGetfdFlags::empty();
    rustix::process::pidfd_getfd(process.expect("a process"), 0, flags).is_err()
}

/// Where this very machine forbids it, nothing is shown by a filter that does.
fn may_fetch() -> bool {
    if no_fetching() {
        lucarne_tests::skip::skip("privilege", "pidfd_getfd is forbidden here already");
        return false;
    }
    true
}

#[test]
fn a_kernel_that_does_not_know_pidfd_getfd_is_told() {
    if std::env::var_os(ROLE).is_none() && !may_fetch() {
        return;
    }
    let report = WITHOUT_FETCHING.report(&["--no-trials"], no_fetching);
    assert_lacks(&report, "pidfd_getfd", &["needs Linux 5.6"]);
}

#[test]
fn a_filter_that_forbids_pidfd_getfd_is_told() {
    if std::env::var_os(ROLE).is_none() && !may_fetch() {
        return;
    }
    let report = FORBIDDEN_FETCHING.report(&["--no-trials"], no_fetching);
    let why = ["a filter of system calls forbids it", "fetch_frame"];
    assert_lacks(&report, "pidfd_getfd", &why);
}
