use std::collections::BTreeMap;
use std::path::Path;

use html5gum::{StartTag, Token, Tokenizer};

use super::super::cell::Came;
use super::super::extension::Extension;
use super::*;

/// A made-up machine on which every kind of cell is there, with names that try to be markup.
fn broken() -> Report {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Report::read(&root.join("tests/reports/broken-gpu.json")).expect("a report")
}

fn page_of(report: &Report) -> String {
    page(report).expect("a page").into_string()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a browser would make of the page, as far as it matters here.
#[derive(Debug, Default)]
struct Read {
    /// Each start tag, with its attributes.
    tags: Vec<(String, BTreeMap<String, String>)>,
    /// Of each cell of the matrix, its class, rung and text.
    cells: Vec<[String; 3]>,
    /// Each cell of other tables, as the last.
    others: Vec<String>,
}

/// Tags that have no end.
const ALONE: [&str; 2] = ["img", "meta"];

/// Reads the page strictly: what a browser would mend is an error.
fn read(page: &str) -> Read {
    let mut read = Read::default();
    let mut open: Vec<String> = Vec::new();
    for token in Tokenizer::new(page).flatten() {
        match token {
            Token::StartTag(tag) => begin(tag, &mut open, &mut read),
            Token::EndTag(tag) => {
                assert_eq!(open.pop(), Some(text(&tag.name)), "tags are nested");
            }
            Token::String(words) => {
                if open.iter().any(|name| name == "td") {
                    let cell = read.cells.last_mut().expect("a cell");
                    cell[2] += &text(&words);
                }
            }
            Token::Error(error) => panic!("{error:?}"),
            Token::Comment(_) | Token::Doctype(_) => {}
        }
    }
    assert_eq!(open, Vec::<String>::new());
    let others = read.cells.extract_if(.., |[_, rung, _]| rung.is_empty());
    read.others = others.map(|[_, _, text]| text).collect();
    read
}

fn begin(tag: StartTag<()>, open: &mut Vec<String>, read: &mut Read) {
    let name = text(&tag.name);
    let attributes: BTreeMap<String, String> = tag
        .attributes
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    if name == "td" {
        let of = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        read.cells
            .push([of("class"), of("data-rung"), String::new()]);
    }
    if !ALONE.contains(&name.as_str()) {
        open.push(name.clone());
    }
    read.tags.push((name, attributes));
}

#[test]
fn the_page_is_whole_and_needs_no_other() {
    let page = page_of(&broken());
    let read = read(&page);
    for (name, attributes) in &read.tags {
        let known = [
            "html",
            "head",
            "meta",
            "title",
            "style",
            "script",
            "body",
            "header",
            "main",
            "section",
            "article",
            "div",
            "span",
            "p",
            "h1",
            "h2",
            "h3",
            "button",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "small",
            "b",
            "a",
            "img",
            "details",
            "summary",
            "ul",
            "li",
            "dl",
            "dt",
            "dd",
            "code",
            "pre",
            "figure",
            "figcaption",
        ];
        assert!(known.contains(&name.as_str()), "{name}");
        for (attribute, value) in attributes {
            assert!(!attribute.starts_with("on"), "{attribute}={value}");
            match attribute.as_str() {
                "src" => assert!(value.starts_with("data:image/png;base64,"), "{value}"),
                "href" => assert!(value.starts_with('#'), "{value}"),
                _ => {}
            }
        }
    }
    // The only places from which a browser would fetch something else.
    for word in ["url(", "@import", "fetch(", "XMLHttpRequest", "WebSocket"] {
        assert!(!STYLE.contains(word) && !SCRIPT.contains(word), "{word}");
    }
    let ids = |of: &str| -> Vec<String> {
        let tags = read.tags.iter();
        tags.filter_map(|(_, all)| all.get(of).cloned()).collect()
    };
    let anchors = ids("id");
    for link in ids("href") {
        assert!(anchors.iter().any(|id| link[1..] == *id), "{link}");
    }
}

#[test]
fn each_cell_says_in_words_what_its_colour_says() {
    let report = broken();
    let read = read(&page_of(&report));
    let all: usize = report.trials.iter().map(|trial| trial.cells.len()).sum();
    assert_eq!(read.cells.len(), all);
    let class_of = |word: &str| {
        let mut classes: Vec<&str> = read
            .cells
            .iter()
            .filter(|[_, _, text]| text.contains(word))
            .map(|[class, _, _]| class.as_str())
            .collect();
        classes.dedup();
        classes
    };
    for word in ["FAILED", "CRASHED", "HUNG"] {
        assert_eq!(class_of(word), ["bad"], "{word}");
    }
    for word in ["not offered", "not tried"] {
        assert_eq!(class_of(word), ["none"], "{word}");
    }
    assert_eq!(class_of("cop"), ["fair"]);
    let right = |[class, rung, text]: &&[String; 3]| {
        class == "good" && text.contains("ok") && !rung.is_empty()
    };
    assert_eq!(read.cells.iter().filter(right).count(), 3);
    // Behind a rung where the trial ended nothing is to be said; where another one hung there is.
    let cells = report.trials.iter().flat_map(|trial| &trial.cells);
    for ([class, rung, text], cell) in read.cells.iter().zip(cells) {
        let unsaid = cell.outcome == Came::NotTried && cell.reason.is_none();
        let explained = ["bad", "none"].contains(&class.as_str()) && !unsaid;
        assert_eq!(text.contains("why"), explained, "{rung}: {text}");
    }
}

#[test]
fn an_extension_that_is_missing_has_its_cost_in_sight() {
    let report = broken();
    let page = page_of(&report);
    let [first, rest @ ..] = &report.extensions[..] else {
        panic!("{:?}", report.extensions);
    };
    let others = read(&page).others;
    let row = ["", "vulkan:0", &first.purpose, &first.cost];
    assert_eq!(others[..4], row.map(str::to_owned));
    // Nobody lacks the last: it is folded in.
    let (last, missing) = rest.split_last().expect("several");
    assert!(last.missing_on.is_empty() && missing.iter().all(Extension::is_missing));
    let row = format!("<th scope=\"row\"><code>{}</code>", last.name);
    let (before, _) = page.split_once(&row).expect("it is told");
    let opened = before.matches("<details>").count() - before.matches("</details>").count();
    assert_eq!(opened, 1);
}

#[test]
fn what_drivers_say_is_text_and_not_markup() {
    let page = page_of(&broken());
    assert!(page.contains("&lt;script&gt;alert(&quot;RADV&quot;)&lt;/script&gt; &amp; 'NAVI22'"));
    assert!(page.contains("&lt;b&gt;old&lt;/b&gt;"));
    let scripts = read(&page)
        .tags
        .into_iter()
        .filter(|(name, _)| name == "script");
    assert_eq!(scripts.count(), 1, "ours");
}

#[test]
fn wrong_pixels_are_shown_beside_those_that_must_be() {
    let page = page_of(&broken());
    for caption in ["expected", "got", "wrong in red"] {
        let shown = format!("<figcaption>{caption}</figcaption>");
        assert_eq!(page.matches(&shown).count(), 3, "{caption}");
    }
    assert!(
        page.contains("769 pixels differ"),
        "of tiles that were read as rows"
    );
}

#[test]
fn what_would_mend_it_is_told() {
    let page = page_of(&broken());
    for advice in [
        "sudo usermod -aG kvm $USER",
        "needs libgbm.so.1",
        "send this report to those who make it",
        "zwp_linux_dmabuf_v1, version 5",
        "not tried: egl:0 hung before",
        "Mesa takes this OpenGL driver",
        "fetch_frame stays within it",
        "the display server did not answer within 20 s",
    ] {
        assert!(page.contains(advice), "{advice}");
    }
}

/// The button copies what the terminal shows.
#[test]
fn the_same_text_is_there_to_be_copied() {
    let report = broken();
    let mut text = Output::keeping();
    report.print(&mut text, false).expect("text");
    let text = text.into_text();
    assert!(!text.contains('\x1b'), "no colours");
    let shown = html! { (text) }.into_string();
    assert!(page_of(&report).contains(&shown));
}

#[test]
fn a_page_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("report.html");
    write(&broken(), &place).expect("written");
    let page = std::fs::read_to_string(&place).expect("a page");
    assert!(page.ends_with("</html>"), "the end is there");
    let nowhere = folder.path().join("no/such/folder.html");
    let error = write(&broken(), &nowhere).expect_err("there is no folder");
    assert!(error.to_string().contains("No such file"), "{error}");
    let left = std::fs::read_dir(folder.path()).expect("a folder");
    assert_eq!(left.count(), 1);
}
