//! The doctor's page in a browser: at the width of a desk and of a phone, in light and in dark.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lucarne_tests::skip::skip;

/// Light and dark, as Chromium's settings number them, with the page's ground in each.
const SCHEMES: [(&str, [u8; 3]); 2] = [("1", [0xf6, 0xf7, 0xf9]), ("0", [0x14, 0x17, 0x1b])];
const WIDTHS: [u32; 2] = [1280, 390];

/// Run in the page when it is there: what a person would see, as attributes of the body.
const PROBE: &str = "<script>
    const told = document.body.dataset;
    addEventListener('error', (event) => { told.error = event.message; });
    navigator.clipboard.writeText = async (text) => { told.copied = text; };
    document.getElementById('copy').click();
    told.sideways = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const all = (what) => [...document.querySelectorAll(what)];
    told.pictures = all('img').filter((one) => one.complete && one.naturalWidth === 37).length;
    told.hidden = all('.matrix td').filter((one) => one.getBoundingClientRect().height < 20).length;
    told.cut = all('.matrix td').filter((one) => one.scrollWidth > one.clientWidth).length;
    dispatchEvent(new Event('beforeprint'));
    told.folded = all('details:not([open])').length;
</script></html>";

fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.exists());
    if found.is_none() {
        skip("browser", "no Chromium is installed (package chromium)");
    }
    found
}

/// Shows a page, and gives what the browser prints.
fn show(browser: &Path, page: &Path, width: u32, scheme: &str, does: &[&str]) -> String {
    let profile = tempfile::tempdir().expect("a folder");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},900"))
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .args(does)
        .arg(format!("file://{}", page.display()))
        // The browser has drivers of its own.
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .output()
        .expect("the browser runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The page of the made-up machine.
fn write_page(place: &Path) {
    let report = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/broken-gpu.json");
    let output = Command::new(env!("CARGO_BIN_EXE_lucarne"))
        .args(["doctor", "--from"])
        .arg(report)
        .arg("--html")
        .arg(place)
        .output()
        .expect("lucarne runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

#[test]
fn a_browser_shows_the_page_at_every_width_and_in_both_schemes() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("report.html");
    write_page(&place);
    let page = std::fs::read_to_string(&place).expect("a page");
    let probed = folder.path().join("probed.html");
    std::fs::write(&probed, page.replace("</html>", PROBE)).expect("written");
    for width in WIDTHS {
        let dom = show(&browser, &probed, width, "1", &["--dump-dom"]);
        let told = |name: &str| {
            let (_, rest) = dom
                .split_once(&format!("data-{name}=\""))
                .unwrap_or_default();
            rest.split('"').next().unwrap_or_default().to_owned()
        };
        assert_eq!(told("error"), "", "at {width}");
        assert_eq!(
            told("sideways"),
            "0",
            "the page does not scroll sideways at {width}"
        );
        // Three in the matrix, and three beside each other for each of them.
        assert_eq!(told("pictures"), "12", "at {width}");
        for nothing in ["hidden", "cut", "folded"] {
            assert_eq!(told(nothing), "0", "{nothing} at {width}");
        }
        let copied = told("copied");
        assert!(
            copied.contains("lucarne doctor 0.") && copied.contains("SIGSEGV"),
            "{copied}"
        );
    }
}

#[test]
fn the_page_is_light_and_dark_as_the_reader_likes_it() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("report.html");
    write_page(&place);
    for width in WIDTHS {
        for (scheme, ground) in SCHEMES {
            let shot = folder.path().join(format!("{width}-{scheme}.png"));
            let does = format!("--screenshot={}", shot.display());
            show(&browser, &place, width, scheme, &[&does]);
            let file = std::io::BufReader::new(std::fs::File::open(&shot).expect("a picture"));
            let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
            let mut bytes = vec![0; reader.output_buffer_size().expect("small")];
            let info = reader.next_frame(&mut bytes).expect("pixels");
            assert_eq!(info.width, width);
            // The page's ground, between what is on it: the last pixel of the row at two thirds of the height.
            let channels = info.color_type.samples();
            let row = (info.height * 2 / 3) as usize;
            let last = (row + 1) * info.line_size - channels;
            assert_eq!(bytes[last..last + 3], ground, "{width}, {scheme}");
        }
    }
}
