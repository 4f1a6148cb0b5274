//! The report as a page: one file that needs no other, and no network.

mod machine;
mod trials;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Report, Verdict};
use crate::Failure;
use crate::new_file::NewFile;
use crate::output::Output;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Writes the page: whole, or not at all.
pub(super) fn write(report: &Report, path: &Path) -> Result<(), Failure> {
    let page = page(report)?.into_string();
    let mut file = NewFile::create(path)?;
    file.write_all(page.as_bytes())?;
    file.finish()?;
    Ok(())
}

/// Everything that comes from drivers is escaped: `html!` does it with each value.
fn page(report: &Report) -> Result<Markup, Failure> {
    let mut text = Output::keeping();
    report.print(&mut text, false)?;
    let text = text.into_text();
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Lucarne doctor: " (report.verdict.word()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                main {
                    (trials::matrix(report))
                    (trials::problems(report))
                    (machine::devices(report))
                    (machine::extensions(report))
                    (machine::machine(report))
                    (as_text(&text, report))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    })
}

fn header(report: &Report) -> Markup {
    let (verdict, caveat) = (report.verdict, report.caveat());
    let (class, mark) = match &caveat {
        Some(_) if verdict.class() == "good" => ("fair", "!"),
        _ => (verdict.class(), verdict.mark()),
    };
    html! {
        header class=(class) {
            span.mark aria-hidden="true" { (mark) }
            div.said {
                h1 { (verdict.sentence()) @if let Some(caveat) = caveat { " " (caveat) } }
                p { "lucarne doctor " (report.lucarne) " on " (report.machine.kernel) }
            }
            button #copy type="button" { "Copy for a bug report" }
        }
    }
}

fn as_text(text: &str, report: &Report) -> Markup {
    html! {
        section {
            details {
                summary { h2 { "The same as text" } }
                p.lead { "For a bug report. It names no user, no host and no folder." }
                pre #text { "lucarne doctor " (report.lucarne) "\n\n" (text) }
            }
        }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::ZeroCopy => "no copies",
            Self::ZeroCopyEmulated => "no copies, emulated",
            Self::CopiesOnly => "copies",
            Self::Nothing => "nothing works",
            Self::NotTried => "nothing was tried",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::ZeroCopy | Self::ZeroCopyEmulated => "good",
            Self::CopiesOnly => "fair",
            Self::Nothing => "bad",
            Self::NotTried => "none",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::ZeroCopy | Self::ZeroCopyEmulated => "✓",
            Self::CopiesOnly => "≈",
            Self::Nothing => "✗",
            Self::NotTried => "?",
        }
    }
}
