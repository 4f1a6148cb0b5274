//! The report as text.

use std::fmt::Write;

use crate::count::Side;
use crate::gates::Verdict;
use crate::messages::Variant;
use crate::report::{Machine, Report};
use crate::rows::Row;

/// Everything, for a terminal that is wide enough.
pub(crate) fn table(report: &Report) -> String {
    let mut text = head(report);
    let rows: Vec<&Row> = report.rows.iter().chain(&report.large).collect();
    let mut sizes: Vec<&str> = rows.iter().map(|row| row.size.as_str()).collect();
    sizes.dedup();
    for size in sizes {
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "\n{size:<20}");
        text.push_str(
            " in hand  -floor   p50 us     /raw   p99 us     /raw   cpu us     /raw |       fps     /raw   cpu us     /raw | copies allocs   fds wrong\n",
        );
        for row in rows.iter().filter(|row| row.size == size) {
            text.push_str(&line(row));
        }
    }
    text.push_str(&counts(report));
    text.push_str(&slopes(report));
    text.push_str(&verdicts(report));
    text
}

fn head(report: &Report) -> String {
    let Machine {
        processor,
        cores,
        kernel,
        vulkan,
        opengl,
        emulated,
        build,
    } = &report.machine;
    let mut text = format!("Frames from Vulkan to OpenGL, between two processes ({build} build)\n");
    let pinned = match report.cores {
        Some((producer, consumer)) => {
            format!("producer on core {producer}, consumer on core {consumer}")
        }
        None => "not pinned".to_owned(),
    };
    let memory = if *emulated {
        "dma-buf emulated: this machine has no /dev/udmabuf"
    } else {
        "dma-buf as the kernel has it"
    };
    let _ = writeln!(
        text,
        "  machine   {processor}, {cores} cores, Linux {kernel}; {pinned}\n  Vulkan    {vulkan}\n  OpenGL    {opengl}\n  memory    {memory}\n  run       {} rounds in random order (seed {}), {} s each; paced at {} frames per second, a thousand times a second for p99, and free",
        report.rounds, report.seed, report.seconds, report.rate
    );
    if let Some(fault) = report.broken {
        let _ = writeln!(text, "  BROKEN    lucarne, on purpose: {fault:?}");
    }
    let _ = writeln!(text, "  others    {}", others(report));
    for missing in &report.missing {
        let _ = writeln!(text, "  MISSING   {missing}");
    }
    text.push_str("  columns   paced: published to in hand, published to seen, processor time per frame of both sides | free: frames per second, processor time\n");
    text
}

/// What other programs did, and what that means.
pub(crate) fn others(report: &Report) -> String {
    let calm = report.calm;
    let worth = if calm.is_calm() {
        ""
    } else {
        ": NOT CALM, all times here are worth little (counts are as good as ever)"
    };
    format!(
        "kept {:.2} cores busy meanwhile; load {:.2} before{worth}",
        calm.others, calm.load_before
    )
}

fn line(row: &Row) -> String {
    let to = row.to_raw.unwrap_or_default();
    let floor = row.over_floor.unwrap_or_default();
    let (paced, free) = (&row.paced, &row.free);
    let wrong = row.torn + row.repeated + row.lost;
    format!(
        "{:<20}{:>8.1} {floor:>7.1} {:>8.1} {:>8.2} {:>8.1} {:>8.2} {:>8.1} {:>8.2} |{:>10.0} {:>8.3} {:>8.1} {:>8.2} |{:>7} {:>6.2} {:>5} {wrong:>5}\n",
        row.variant,
        paced.in_hand,
        paced.p50,
        to.p50,
        paced.p99,
        to.p99,
        paced.cpu,
        to.cpu_paced,
        free.rate,
        to.rate,
        free.cpu,
        to.cpu_free,
        row.copies,
        row.allocations,
        row.descriptors
    )
}

fn counts(report: &Report) -> String {
    let Some(first) = report.counts.first() else {
        return String::new();
    };
    let mut text = format!(
        "\ninstructions per frame ({}, drawing and looking left out)\n{:<20}{:>9}{:>8}{:>9}{:>8}{:>10}  |{:>9}{:>8}{:>9}{:>8}{:>10}\n",
        first.size,
        "",
        "producer",
        "/raw",
        "syscalls",
        "clocks",
        "drivers",
        "consumer",
        "/raw",
        "syscalls",
        "clocks",
        "drivers"
    );
    for count in &report.counts {
        let raw = raw_of(report, count.variant);
        let mut side = |side: &Side, raw: Option<&Side>| {
            let ratio = raw.map_or(0.0, |raw| side.own / raw.own);
            let _ = write!(
                text,
                "{:>9.0}{ratio:>8.2}{:>9.2}{:>8.2}{:>10.0}",
                side.own, side.system_calls, side.clock_reads, side.driver
            );
        };
        let name = count.variant.name();
        side(&count.producer, raw.map(|raw| &raw.producer));
        let consumer = raw.and_then(|raw| raw.consumer.as_ref());
        if let Some(mine) = &count.consumer {
            side(mine, consumer);
        }
        let _ = writeln!(text, "   {name}");
    }
    text
}

/// The hand-written one to compare with.
pub(crate) fn raw_of(report: &Report, variant: Variant) -> Option<&crate::count::Count> {
    let raw = variant.beside();
    report.counts.iter().find(|count| count.variant == raw)
}

fn slopes(report: &Report) -> String {
    let mut text = String::new();
    if !report.points.is_empty() {
        let _ = writeln!(
            text,
            "\n{:<20}{:>12}{:>10}{:>10}{:>12}   the floor's producer, per frame",
            "slopes", "instructions", "syscalls", "cpu us", "descriptors"
        );
    }
    for point in &report.points {
        let shown =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        let _ = writeln!(
            text,
            "{:<20}{:>12}{:>10}{:>10}{:>12}",
            format!("{} {}", point.at, point.axis.title()),
            shown(point.instructions),
            shown(point.system_calls),
            shown(point.cpu),
            point
                .descriptors
                .map_or("-".to_owned(), |count| count.to_string()),
        );
    }
    if !report.once.is_empty() {
        let _ = writeln!(
            text,
            "\n{:<30}{:>12}{:>14}   1920x1080, three slots",
            "once", "us", "of drivers us"
        );
    }
    for once in &report.once {
        let title = once.step.title();
        let _ = writeln!(
            text,
            "{title:<30}{:>12.0}{:>14.0}",
            once.micros, once.drivers
        );
    }
    text
}

fn verdicts(report: &Report) -> String {
    let mut text = String::new();
    if report.gates.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "\n{:<59}{:>8}{:>9}{:>15}{:>11}",
        "gates", "limit", "lucarne", "like for like", "raw again"
    );
    for gate in &report.gates {
        let sign = if gate.at_least { ">=" } else { "<=" };
        let verdict = match gate.verdict {
            Verdict::Holds => "holds",
            Verdict::Fails => "FAILS",
            Verdict::Undecided => "CANNOT TELL",
        };
        let shown = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
        };
        let (like, chance) = (shown(gate.like_for_like), shown(gate.by_chance));
        let _ = writeln!(
            text,
            "{verdict:<13}{:<10}{:<36}{sign} {:>5.2}{:>9.2}{like:>15}{chance:>11}",
            gate.size, gate.name, gate.limit, gate.got
        );
    }
    let told = match report.worst() {
        Some(Verdict::Fails) => "at least one gate fails",
        Some(Verdict::Undecided) => {
            "no gate fails, but not all could be judged: others were busy, or raw differs from raw by more than a gate allows"
        }
        _ => "all gates hold",
    };
    let _ = writeln!(text, "\n{told}");
    text
}
