//! The report as one page that needs no network: figures, plots, and what they mean.

use std::fmt::Write;

use crate::count::{Count, Side};
use crate::gates::Verdict;
use crate::messages::Variant;
use crate::report::Report;
use crate::rows::Row;
use crate::slopes::{Axis, Point};
use crate::svg::{Line, Plot, number};
use crate::table::{others, raw_of};

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut body = head(report);
    for section in [gates, plots, once, counts, rows] {
        body.push_str(&section(report));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Lucarne: what a hand-off costs</title>\n<style>\n{}</style></head><body>\n{body}</body></html>\n",
        include_str!("page.css")
    )
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

fn head(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = "<h1>Lucarne: what a hand-off costs</h1>\n<p>A frame is drawn in Vulkan and handed to OpenGL, in another process where nothing else is said. <b>raw</b> is the same written by hand for this one case, with nothing agreed on and nothing checked.</p>\n".to_owned();
    let pinned = match report.cores {
        Some((producer, consumer)) => {
            format!("producer on core {producer}, consumer on core {consumer}")
        }
        None => "on any core".to_owned(),
    };
    let memory = if machine.emulated {
        "dma-bufs emulated: there is no /dev/udmabuf here"
    } else {
        "dma-bufs of the kernel"
    };
    let rows = [
        (
            "machine",
            format!(
                "{}, {} cores, Linux {}",
                machine.processor, machine.cores, machine.kernel
            ),
        ),
        ("Vulkan", machine.vulkan.clone()),
        ("OpenGL", machine.opengl.clone()),
        ("memory", memory.to_owned()),
        (
            "run",
            format!(
                "{} rounds of {} s, seed {}, {} build; {pinned}",
                report.rounds, report.seconds, report.seed, machine.build
            ),
        ),
        ("others", others(report)),
    ];
    text.push_str("<table class=\"facts\">");
    for (name, value) in rows {
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            text,
            "<tr><td>{name}</td><td class=\"left\">{}</td></tr>",
            escape(&value)
        );
    }
    text.push_str("</table>\n");
    if let Some(fault) = report.broken {
        let _ = writeln!(
            text,
            "<p class=\"note\">Broken on purpose: {fault:?}. A gate must fail.</p>"
        );
    }
    for missing in &report.missing {
        let _ = writeln!(
            text,
            "<p class=\"note\">Not measured. {}</p>",
            escape(missing)
        );
    }
    if !report.calm.is_calm() {
        text.push_str("<p class=\"note\">Other programs were busy meanwhile. Times on this page are worth little; instructions, system calls, descriptors and copies are as good as ever.</p>\n");
    }
    text
}

fn gates(report: &Report) -> String {
    if report.gates.is_empty() {
        return String::new();
    }
    let mut text = "<h2>Gates</h2>\n<p class=\"soft\">What must hold of lucarne. <i>Like for like</i> compares with a hand-written loop that exports every frame's end as a sync_file. <i>Raw again</i> is raw beside itself: as far as that strays from 1, chance goes.</p>\n<div class=\"wide\"><table><tr><th>gate<th class=\"left\">size<th class=\"left\">verdict<th>lucarne<th>limit<th>like for like<th>raw again</tr>".to_owned();
    for gate in &report.gates {
        let (class, word) = match gate.verdict {
            Verdict::Holds => ("holds", "holds"),
            Verdict::Fails => ("fails", "fails"),
            Verdict::Undecided => ("undecided", "cannot tell"),
        };
        let sign = if gate.at_least { "≥" } else { "≤" };
        let shown =
            |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
        let _ = write!(
            text,
            "<tr><td>{}<td class=\"left\">{}<td class=\"left {class}\">{word}<td>{:.2}<td>{sign} {:.2}<td>{}<td>{}</tr>",
            gate.name,
            gate.size,
            gate.got,
            gate.limit,
            shown(gate.like_for_like),
            shown(gate.by_chance)
        );
    }
    text.push_str("</table></div>\n");
    text
}

fn plots(report: &Report) -> String {
    let all = [
        (
            by_size(report),
            "A hand-off touches no pixel, so it must not grow with the frame. From the moment before a frame is published until the other process may use it, at 60 frames a second; the median. Both processes sleep in between, and most of this is the kernel that wakes one.",
        ),
        (
            consumers(report),
            "What one more consumer costs the producer, for each frame: all of its instructions without those that it needs for one consumer, divided by the others. A flat line means that many cost no more each than few.",
        ),
        (
            axis(
                report,
                Axis::Consumers,
                "µs per frame and consumer",
                |point| Some(point.cpu? / point.at as f64),
            ),
            "The producer's processor time, with the kernel's, as fast as it can, divided by the consumers. All of them are in one process, which serves them one after the other.",
        ),
        (
            axis(report, Axis::Slots, "instructions per frame", |point| {
                point.instructions
            }),
            "More slots let a producer run ahead. They should cost it nothing for a frame.",
        ),
        (
            axis(report, Axis::Streams, "instructions per frame", |point| {
                point.instructions
            }),
            "One stream is busy; the others have a consumer each and no frames. They should cost the busy one nothing.",
        ),
        (
            axis(report, Axis::Streams, "descriptors per stream", |point| {
                Some(point.descriptors? as f64 / point.at as f64)
            }),
            "Descriptors that the producer's process has open, divided by the streams: what an idle stream does cost.",
        ),
    ];
    let mut text = String::new();
    for (plot, caption) in all {
        let Some(plot) = plot.filter(|plot| plot.lines.iter().any(|line| !line.points.is_empty()))
        else {
            continue;
        };
        let _ = writeln!(
            text,
            "<figure>{}{}<figcaption>{caption}</figcaption></figure>",
            plot.legend(),
            plot.svg()
        );
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "<h2>Slopes</h2>\n<p class=\"soft\">The axis below is logarithmic, the other one begins at zero. Consumers, slots and streams are measured with buffers that nobody touches: what grows there is Lucarne's own.</p>\n<div class=\"plots\">\n{text}</div>\n"
    )
}

fn by_size(report: &Report) -> Option<Plot> {
    let rows = || report.rows.iter().chain(&report.large);
    let pixels = |row: &Row| -> Option<f64> {
        let (width, height) = row.size.split_once('x')?;
        Some(width.parse::<f64>().ok()? * height.parse::<f64>().ok()? / 1e6)
    };
    let line = |variant: Variant| {
        let of = rows().filter(|row| row.variant == variant.name());
        Line {
            name: variant.name().to_owned(),
            points: of
                .filter_map(|row| Some((pixels(row)? * 1e6, row.paced.in_hand)))
                .collect(),
        }
    };
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for row in rows().filter(|row| row.variant == Variant::LucarneOpaqueFd.name()) {
        ticks.push((pixels(row)? * 1e6, row.size.clone()));
    }
    (ticks.len() > 1).then(|| Plot {
        x: "size in pixels",
        y: "µs until in hand",
        ticks,
        log: true,
        lines: vec![
            line(Variant::Lucarne),
            line(Variant::Raw),
            line(Variant::LucarneOpaqueFd),
        ],
    })
}

fn points(report: &Report, axis: Axis) -> Vec<Point> {
    report
        .points
        .iter()
        .filter(|point| point.axis == axis)
        .copied()
        .collect()
}

fn consumers(report: &Report) -> Option<Plot> {
    let points = points(report, Axis::Consumers);
    let first = points.first()?.instructions?;
    let more = points.iter().skip(1).filter_map(|point| {
        let others = point.at as f64 - 1.0;
        Some((point.at as f64, (point.instructions? - first) / others))
    });
    Some(Plot {
        x: "consumers",
        y: "instructions per frame and further consumer",
        ticks: points
            .iter()
            .map(|point| (point.at as f64, point.at.to_string()))
            .collect(),
        log: true,
        lines: vec![Line {
            name: "producer".to_owned(),
            points: more.collect(),
        }],
    })
}

fn axis(
    report: &Report,
    axis: Axis,
    y: &'static str,
    value: fn(&Point) -> Option<f64>,
) -> Option<Plot> {
    let points = points(report, axis);
    let of = points
        .iter()
        .filter_map(|point| Some((point.at as f64, value(point)?)));
    Some(Plot {
        x: axis.title(),
        y,
        ticks: points
            .iter()
            .map(|point| (point.at as f64, point.at.to_string()))
            .collect(),
        log: true,
        lines: vec![Line {
            name: "producer".to_owned(),
            points: of.collect(),
        }],
    })
}

fn once(report: &Report) -> String {
    if report.once.is_empty() {
        return String::new();
    }
    let most = report
        .once
        .iter()
        .map(|once| once.micros)
        .fold(1.0, f64::max);
    let mut text = "<h2>Once</h2>\n<p class=\"soft\">What happens once in the life of a stream, at 1920x1080 with three slots, both ends served by one thread. <b style=\"color:var(--s1)\">Drivers</b>: asking, exporting, importing, submitting and waiting. <b style=\"color:var(--s0)\">Lucarne</b>: the rest.</p>\n<div class=\"wide\"><table><tr><th>what<th>µs<th>of drivers<th>of lucarne<th></tr>".to_owned();
    for once in &report.once {
        let own = (once.micros - once.drivers).max(0.0);
        let width = |part: f64| part / most * 100.0;
        let _ = write!(
            text,
            "<tr><td>{}<td>{}<td>{}<td>{}<td><span class=\"bar\"><i style=\"width:{:.1}%\"></i><b style=\"width:{:.1}%\"></b></span></tr>",
            once.step.title(),
            number(once.micros),
            number(once.drivers),
            number(own),
            width(once.drivers),
            width(own)
        );
    }
    text.push_str("</table></div>\n");
    text
}

fn counts(report: &Report) -> String {
    if report.counts.is_empty() {
        return String::new();
    }
    let mut text = "<h2>Instructions</h2>\n<p class=\"soft\">Counted with callgrind for each frame, where each side sleeps when the other is done. Drawing and looking are left out. Own: the hand-off's code, with Rust's library and libc; drivers: what they do in the calls that it makes, on its thread. Reading the clock is no system call outside of callgrind.</p>\n<div class=\"wide\"><table><tr><th>variant<th class=\"left\">side<th>own<th>× raw<th>system calls<th>clock reads<th>drivers<th>their system calls</tr>".to_owned();
    for count in &report.counts {
        let raw = raw_of(report, count.variant);
        let sides = [
            (
                "producer",
                Some(&count.producer),
                raw.map(|raw| &raw.producer),
            ),
            (
                "consumer",
                count.consumer.as_ref(),
                raw.and_then(|raw| raw.consumer.as_ref()),
            ),
        ];
        for (name, side, raw) in sides {
            let Some(side) = side else { continue };
            let ratio = raw.map_or_else(String::new, |raw| format!("{:.2}", side.own / raw.own));
            let _ = write!(
                text,
                "<tr><td>{}<td class=\"left\">{name}<td>{}<td>{ratio}<td>{:.2}<td>{:.2}<td>{}<td>{:.2}</tr>",
                count.variant,
                number(side.own.round()),
                side.system_calls,
                side.clock_reads,
                number(side.driver.round()),
                side.driver_system_calls
            );
        }
    }
    text.push_str("</table></div>\n");
    for count in &report.counts {
        text.push_str(&trees(count));
    }
    text
}

fn trees(count: &Count) -> String {
    let mut text = String::new();
    for (name, side) in [
        ("producer", Some(&count.producer)),
        ("consumer", count.consumer.as_ref()),
    ] {
        let Some(side) = side else { continue };
        let _ = writeln!(
            text,
            "<details><summary>{}, {name}: who calls whom</summary><pre>{}</pre></details>",
            count.variant,
            escape(&tree(side))
        );
    }
    text
}

/// Instructions with everything below, calls, and names.
fn tree(side: &Side) -> String {
    let mut text = String::new();
    for line in &side.tree {
        let _ = writeln!(
            text,
            "{:>9.0} {:>6.2} ×  {}{}",
            line.instructions,
            line.calls,
            "  ".repeat(line.depth),
            line.name
        );
    }
    text
}

fn rows(report: &Report) -> String {
    if report.rows.is_empty() {
        return String::new();
    }
    let mut text = "<h2>Times</h2>\n<p class=\"soft\">Medians of all rounds, in microseconds; × is the median of the ratios to raw, round by round. <i>In hand</i>: from before publishing until the consumer may use the texture. <i>p50</i> and <i>p99</i>: until it has read a pixel in two corners. <i>cpu</i>: processor time of both sides for each frame.</p>\n<div class=\"wide\"><table><tr><th>variant<th class=\"left\">size<th>in hand<th>p50<th>×<th>p99<th>×<th>cpu, paced<th>×<th>frames/s<th>×<th>cpu, free<th>×<th>copies<th>allocations</tr>".to_owned();
    for row in report.rows.iter().chain(&report.large) {
        let to = row.to_raw.unwrap_or_default();
        let _ = write!(
            text,
            "<tr><td>{}<td class=\"left\">{}",
            row.variant, row.size
        );
        let (paced, free) = (&row.paced, &row.free);
        let shown = [
            (paced.in_hand, None),
            (paced.p50, Some(to.p50)),
            (paced.p99, Some(to.p99)),
            (paced.cpu, Some(to.cpu_paced)),
            (free.rate, Some(to.rate)),
            (free.cpu, Some(to.cpu_free)),
        ];
        for (value, ratio) in shown {
            let there = |text: String| if value > 0.0 { text } else { "–".to_owned() };
            let _ = write!(text, "<td>{}", there(number(value)));
            if let Some(ratio) = ratio {
                let _ = write!(text, "<td>{}", there(format!("{ratio:.2}")));
            }
        }
        let _ = write!(
            text,
            "<td>{}<td>{}</tr>",
            row.copies,
            number(row.allocations)
        );
    }
    text.push_str("</table></div>\n");
    text
}
