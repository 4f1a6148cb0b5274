//! The matrix of trials, and what is red or missing in it.

use lucarne::Rung;
use lucarne_conformance::Late;
use maud::{Markup, html};

use super::super::Report;
use super::super::cell::{Came, Cell};
use super::super::picture::Picture;
use super::super::problems::{self, Kind, Problem, Shown};
use super::super::trials::Trial;
use crate::output::counted;

/// What each rung is.
fn about(rung: Rung) -> &'static str {
    match rung {
        Rung::TiledDmaBuf => "in the driver's own layout; no copy",
        Rung::LinearDmaBuf => "in rows; across devices too; no copy",
        Rung::OpaqueFd => "one driver's own memory; no copy",
        Rung::HostMemory => "always there; may copy",
    }
}

pub(super) fn matrix(report: &Report) -> Markup {
    let problems = problems::of(report);
    html! {
        section {
            h2 { "What was tried" }
            @if report.trials.is_empty() {
                p.lead { "Nothing was tried: there is no pair of devices, or the trials were left out." }
            } @else {
                p.lead {
                    "Each pair of devices shared a small pattern in each kind of memory, the best kind first. Every pixel was compared."
                }
                (key(report))
                table.matrix {
                    thead { tr {
                        th scope="col" { "from " span.arrow aria-hidden="true" { "→" } " to" }
                        @for rung in Rung::ALL {
                            th scope="col" { (rung) small { (about(rung)) } }
                        }
                    } }
                    tbody { @for trial in &report.trials { (row(trial, &problems)) } }
                }
            }
        }
    }
}

/// Which device each place is.
fn key(report: &Report) -> Markup {
    html! {
        ul.key {
            @for device in &report.devices {
                li { b { (device.api) ":" (device.number) } " " (device.name) }
            }
        }
    }
}

fn row(trial: &Trial, problems: &[Problem<'_>]) -> Markup {
    html! {
        tr {
            th scope="row" {
                (trial.from)
                span.arrow aria-label="to" { " → " }
                (trial.to)
            }
            @for rung in Rung::ALL {
                @match trial.cells.iter().find(|cell| cell.rung() == Some(rung)) {
                    Some(cell) => (one(rung, cell, problems::number(problems, cell))),
                    None => td.none data-rung=(rung) { span.word { "not tried" } },
                }
            }
        }
    }
}

fn one(rung: Rung, cell: &Cell, problem: Option<usize>) -> Markup {
    html! {
        td class=(class(cell)) data-rung=(rung) {
            @if let Some(picture) = &cell.picture {
                img src=(picture.data_uri()) width="74" height="42" alt="the pattern that came out";
            }
            span.word {
                span aria-hidden="true" { (mark(cell)) "\u{a0}" }
                (word(cell))
            }
            @for note in notes(cell) { small { (note) } }
            @if let Some(number) = problem {
                small { a href={ "#problem-" (number) } { "why" } }
            }
        }
    }
}

fn class(cell: &Cell) -> &'static str {
    match cell.outcome {
        _ if cell.is_bad() => "bad",
        Came::Passed if cell.all_copies() > 0 => "fair",
        Came::Passed => "good",
        _ => "none",
    }
}

fn mark(cell: &Cell) -> &'static str {
    match cell.outcome {
        _ if cell.is_bad() => "✗",
        Came::Passed if cell.all_copies() > 0 => "≈",
        Came::Passed => "✓",
        Came::NotOffered => "–",
        _ => "?",
    }
}

fn word(cell: &Cell) -> String {
    match cell.outcome {
        Came::Passed if cell.failed_late() => "LATE FAILED".to_owned(),
        Came::Passed => cell.ok(),
        Came::NotOffered => "not offered".to_owned(),
        Came::NotTried => "not tried".to_owned(),
        Came::Failed => "FAILED".to_owned(),
        Came::Crashed => "CRASHED".to_owned(),
        Came::Hung => "HUNG".to_owned(),
    }
}

fn notes(cell: &Cell) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if cell.passed() && cell.emulated {
        notes.push("emulated");
    }
    notes.extend(cell.late.as_ref().and_then(|late| match late {
        Late::Waited => Some("waits for fences"),
        Late::AlreadySignalled => Some("fences signal at once"),
        Late::CpuWaits { .. } => Some("the CPU waits"),
        Late::Failed { .. } => Some("ok when the writer waits"),
        _ => None,
    }));
    notes
}

pub(super) fn problems(report: &Report) -> Markup {
    let problems = problems::of(report);
    let (bad, rest): (Vec<_>, Vec<_>) = problems
        .iter()
        .enumerate()
        .partition(|(_, problem)| problem.kind <= Kind::FailedLate);
    html! {
        @if !bad.is_empty() {
            section {
                h2 { "What is broken" }
                @for (number, problem) in bad { (self::problem(number, problem)) }
            }
        }
        @if !rest.is_empty() {
            section {
                h2 { "What is not there, and what would mend it" }
                @for (number, problem) in rest { (self::problem(number, problem)) }
            }
        }
    }
}

fn problem(number: usize, problem: &Problem<'_>) -> Markup {
    let bad = problem.kind <= Kind::FailedLate;
    html! {
        article #{ "problem-" (number) } class=(if bad { "bad" } else { "none" }) {
            h3 { (problem.kind.title()) }
            p.reason { (problem.reason) }
            @for remedy in &problem.remedies { (self::remedy(remedy)) }
            @for shown in &problem.pictures { (pictures(shown)) }
            details {
                summary { (counted(problem.places.len(), "trial")) }
                ul { @for place in &problem.places { li { (place) } } }
            }
        }
    }
}

/// A command looks like one, wherever it stands; what follows a comma or a semicolon is said to people.
pub(super) fn remedy(text: &str) -> Markup {
    let commands = ["sudo ", "unset "].iter();
    let begin = commands.filter_map(|word| text.find(word)).min();
    let (before, command) = text.split_at(begin.unwrap_or(text.len()));
    let (command, after) = command.split_at(command.find([',', ';']).unwrap_or(command.len()));
    html! {
        p.remedy {
            span aria-hidden="true" { "→ " }
            (before) @if !command.is_empty() { code { (command) } } (after)
        }
    }
}

fn pictures(shown: &Shown<'_>) -> Markup {
    let expected = shown.picture.expected();
    let wrong = shown.picture.wrong(&expected);
    let difference = shown.picture.difference(&expected);
    html! {
        div.beside {
            p { (shown.place) ": " (wrong) " pixels differ" }
            (figure("expected", &expected))
            (figure("got", shown.picture))
            (figure("wrong in red", &difference))
        }
    }
}

fn figure(caption: &str, picture: &Picture) -> Markup {
    html! {
        figure {
            img src=(picture.data_uri()) width="148" height="84" alt=(caption);
            figcaption { (caption) }
        }
    }
}
