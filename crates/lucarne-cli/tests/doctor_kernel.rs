//! The doctor on a kernel without the ioctls of sync_files: a filter of system calls stands for it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use lucarne::kernel::{SyncFile, Udmabuf};
use rustix::fs::{Mode, OFlags};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

const ROLE: &str = "LUCARNE_TEST_ROLE";
const ME: &str = "a_kernel_without_sync_file_ioctls_is_told";

/// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` and `IMPORT`, `SYNC_IOC_MERGE` and `FILE_INFO`.
const REQUESTS: [u64; 4] = [0xc008_6202, 0x4008_6203, 0xc030_3e03, 0xc038_3e04];
const ENOTTY: u32 = 25;
/// `SYS_ioctl`.
const IOCTL: i64 = if cfg!(target_arch = "x86_64") { 16 } else { 29 };

/// From here on this process, and those that it starts, live on such a kernel.
fn forget_sync_files() {
    let rule = |request| {
        let is = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request);
        SeccompRule::new(vec![is.expect("a condition")]).expect("a rule")
    };
    let rules = BTreeMap::from([(IOCTL, REQUESTS.map(rule).to_vec())]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(ENOTTY),
        std::env::consts::ARCH.try_into().expect("an architecture"),
    );
    let program: BpfProgram = filter.expect("a filter").try_into().expect("a program");
    apply_filter(&program).expect("a kernel with filters");
}

/// What the kernel says of a descriptor that is no fence, and may not be used: before it looks at that, the filter answers.
fn complaint() -> String {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let path = rustix::fs::open("/dev/null", flags, Mode::empty()).expect("a path");
    let fence = SyncFile::new(path).expect_err("no fence");
    fence.to_string()
}

#[test]
fn a_kernel_without_sync_file_ioctls_is_told() {
    if std::env::var_os(ROLE).is_some() {
        let before = complaint();
        forget_sync_files();
        assert_ne!(complaint(), before, "the filter answers");
        let error = Command::new(env!("CARGO_BIN_EXE_lucarne"))
            .args(["doctor", "--json"])
            .exec();
        panic!("{error}");
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args([ME, "--exact", "--nocapture"])
        .env(ROLE, "1")
        .output()
        .expect("this program, once more");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{complaint}");
    let json = text
        .lines()
        .find(|line| line.starts_with('{'))
        .expect("a report");
    let report: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let verdict = report["verdict"].as_str().expect("a verdict");
    assert!(
        verdict.starts_with("zero-copy"),
        "nothing needs them: {report}"
    );
    let features = report["machine"]["features"].as_array().expect("features");
    let of_dma_bufs = |feature: &&serde_json::Value| {
        feature["name"]
            .as_str()
            .is_some_and(|name| name.contains("EXPORT_SYNC_FILE"))
    };
    let feature = features.iter().find(of_dma_bufs).expect("it is told");
    assert_ne!(feature["works"], true, "{feature}");
    if Udmabuf::open().is_ok() && std::env::var_os("LD_PRELOAD").is_none() {
        let detail = feature["detail"].as_str().expect("why");
        assert!(detail.contains("needs Linux 6.0"), "{detail}");
    } else {
        eprintln!("skipped case: udmabuf: only a real dma-buf is asked for its fences");
    }
}
