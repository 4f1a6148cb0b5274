//! What the machine has: devices with their formats, nodes, features, display servers.

use maud::{Markup, html};

use super::super::Report;
use super::super::device::DeviceLine;
use super::super::display::{Asked, Dmabuf, Kind, Tranche, Wayland, X11};
use super::super::extension::{self, Extension};
use super::super::feature::Feature;
use super::super::machine::{Node, NodeState};
use super::super::variable::Variable;
use super::trials::remedy;
use crate::caps::Group;
use crate::output::counted;

pub(super) fn devices(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Devices" }
            @for device in &report.devices { (self::device(device)) }
            @for missing in &report.missing {
                article.bad {
                    h3 { (missing.api) ": none" }
                    p.reason { (missing.reason) }
                }
            }
        }
    }
}

fn device(device: &DeviceLine) -> Markup {
    let quirks: Vec<&String> = device.faults().collect();
    let formats: usize = device.lists.iter().map(|group| group.formats.len()).sum();
    html! {
        article {
            h3 { (device.api) ":" (device.number) " " span.name { (device.name) } }
            p.small { (device.driver) }
            @if let Some(advice) = &device.advice { (remedy(advice)) }
            @if !quirks.is_empty() {
                details {
                    summary { "Known faults that are worked around: " (quirks.len()) }
                    ul { @for quirk in quirks { li { (quirk) } } }
                }
            }
            @if device.lists.is_empty() {
                p.small { "Lists no formats." }
            } @else {
                details {
                    summary { "Formats and modifiers: " (formats) " in " (counted(device.lists.len(), "group")) }
                    @for group in &device.lists { (self::group(group)) }
                }
            }
        }
    }
}

fn group(group: &Group) -> Markup {
    let shape = &group.shape;
    html! {
        div.group {
            p {
                b { (shape.memory) ", " (shape.layout) } ": "
                (shape.can) "; for " (shape.usage) "; up to " (shape.largest)
                @if shape.planes > 1 { "; " (shape.planes) " memory planes" }
            }
            (names(&group.formats))
        }
    }
}

fn names(formats: &[String]) -> Markup {
    html! { p.formats { @for format in formats { code { (format) } " " } } }
}

/// Those that are missing somewhere, and folded in behind them the others.
pub(super) fn extensions(report: &Report) -> Markup {
    let all = &report.extensions;
    let (missing, there): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.is_missing());
    html! {
        @if !all.is_empty() {
            section {
                h2 { "Extensions" }
                p.lead { "Of the extensions of Vulkan, EGL and OpenGL, " (extension::summary(all)) "." }
                @if !missing.is_empty() { (extension_table(&missing)) }
                @if !there.is_empty() {
                    details {
                        summary { "Everywhere: " (counted(there.len(), "extension")) }
                        (extension_table(&there))
                    }
                }
            }
        }
    }
}

fn extension_table(rows: &[&Extension]) -> Markup {
    html! {
        table.rows {
            thead { tr {
                @for name in ["extension", "on", "missing on", "for", "without it"] { th scope="col" { (name) } }
            } }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" { code { (row.name) } }
                        td data-name="on" { (extension::places(&row.on)) }
                        td data-name="missing on" { (extension::places(&row.missing_on)) }
                        td data-name="for" { (row.purpose) }
                        td data-name="without it" { (row.cost) }
                    }
                }
            }
        }
    }
}

pub(super) fn machine(report: &Report) -> Markup {
    let machine = &report.machine;
    html! {
        section {
            h2 { "This machine" }
            dl {
                dt { "kernel" } dd { (machine.kernel) }
                @if !machine.sandbox.is_empty() {
                    dt { "inside" } @for one in &machine.sandbox { dd { (one) } }
                }
                @for variable in &machine.variables { (self::variable(variable)) }
                @for node in &machine.nodes { (self::node(node)) }
                @for feature in &machine.features { (self::feature(feature)) }
                (displays(report))
            }
        }
    }
}

fn variable(variable: &Variable) -> Markup {
    html! {
        dt { code { (variable.name) } }
        dd { code { (variable.value) } p.remedy { (variable.effect) } }
    }
}

fn node(node: &Node) -> Markup {
    let (class, mark, word) = match node.state {
        NodeState::Usable => ("good", "✓", "usable"),
        NodeState::Absent => ("none", "–", "absent"),
        NodeState::NoPermission => ("bad", "✗", "no permission"),
    };
    html! {
        dt { code { (node.path) } }
        dd {
            span.state.(class) { span aria-hidden="true" { (mark) } " " (word) }
            @if let Some(driver) = &node.driver { " driver " (driver) }
            @if let Some(advice) = &node.advice { (remedy(advice)) }
        }
    }
}

fn feature(feature: &Feature) -> Markup {
    let (class, mark, word) = match feature.works {
        Some(true) => ("good", "✓", "yes"),
        Some(false) => ("bad", "✗", "no"),
        None => ("none", "?", "not known"),
    };
    html! {
        dt { (feature.name) }
        dd {
            span.state.(class) { span aria-hidden="true" { (mark) } " " (word) }
            @if !feature.detail.is_empty() { p.remedy { (feature.detail) } }
        }
    }
}

fn displays(report: &Report) -> Markup {
    let displays = &report.displays;
    html! {
        @if matches!((&displays.wayland, &displays.x11), (Asked::NotSet, Asked::NotSet)) {
            dt { "display" } dd { "none: neither WAYLAND_DISPLAY nor DISPLAY is set" }
        }
        (server(Kind::Wayland, &displays.wayland, wayland))
        (server(Kind::X11, &displays.x11, x11))
    }
}

fn server<T>(kind: Kind, asked: &Asked<T>, show: impl Fn(&T) -> Markup) -> Markup {
    html! {
        @match asked {
            Asked::NotSet => {},
            Asked::Answered(answer) => { dt { (kind.name()) } dd { (show(answer)) } },
            Asked::Silent(reason) => {
                dt { (kind.name()) }
                dd {
                    span.state.bad { span aria-hidden="true" { "✗" } " does not answer" }
                    p.remedy { (reason) }
                }
            },
        }
    }
}

fn wayland(answer: &Wayland) -> Markup {
    html! {
        ul.plain { @for line in answer.lines() { li { (line) } } }
        @if let Some(dmabuf) = &answer.linux_dmabuf { (tranches(dmabuf)) }
    }
}

fn tranches(dmabuf: &Dmabuf) -> Markup {
    html! {
        @for (number, tranche) in (1..).zip(&dmabuf.tranches) {
            details {
                summary { "What it takes" @if dmabuf.tranches.len() > 1 { ", choice " (number) } }
                (self::tranche(tranche))
            }
        }
    }
}

fn tranche(tranche: &Tranche) -> Markup {
    html! {
        @for layout in &tranche.layouts {
            div.group { p { b { (layout.layout) } } (names(&layout.formats)) }
        }
    }
}

fn x11(answer: &X11) -> Markup {
    html! { ul.plain { @for line in answer.lines() { li { (line) } } } }
}
