//! Plots, as SVG inside the page, whose style sheet gives them their colours.

use std::fmt::Write;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// A line through what was measured.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// One plot. Both axes begin at zero, but a logarithmic one below.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// Places on the axis below, each with its name.
    pub(crate) ticks: Vec<(f64, String)>,
    /// Whether the axis below is logarithmic.
    pub(crate) log: bool,
    pub(crate) lines: Vec<Line>,
}

impl Plot {
    /// The SVG element.
    pub(crate) fn svg(&self) -> String {
        let all = self.lines.iter().flat_map(|line| &line.points);
        let highest = all.map(|point| point.1).fold(0.0, f64::max);
        let step = step(highest);
        let top = (highest / step).ceil().max(1.0) * step;
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP);
        let mut text = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} by {}\">",
            self.y, self.x
        );
        let mut value = 0.0;
        // Writing to a string cannot fail, here and below.
        while value <= top + step / 2.0 {
            let at = y(value);
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                number(value)
            );
            value += step;
        }
        for (at, name) in &self.ticks {
            let at = self.place(*at);
            let _ = write!(
                text,
                "<text class=\"mid\" x=\"{at:.1}\" y=\"{}\">{name}</text>",
                HEIGHT - BOTTOM + 18.0
            );
        }
        let _ = write!(
            text,
            "<text class=\"mid\" x=\"{}\" y=\"{}\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0,
            self.x
        );
        for (index, line) in self.lines.iter().enumerate() {
            let places = line
                .points
                .iter()
                .map(|(at, value)| (self.place(*at), y(*value)));
            let places: Vec<_> = places.collect();
            let path: Vec<_> = places
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            let class = format!("s{index}");
            let _ = write!(
                text,
                "<polyline class=\"{class}\" points=\"{}\"/>",
                path.join(" ")
            );
            for ((x, y), (_, value)) in places.iter().zip(&line.points) {
                let _ = write!(
                    text,
                    "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}: {}</title></circle>",
                    line.name,
                    number(*value)
                );
            }
        }
        text.push_str("</svg>");
        text
    }

    /// The names of the lines beside their colours, and what the height means.
    pub(crate) fn legend(&self) -> String {
        let mut text = format!("<p class=\"legend\"><b>{}</b>", self.y);
        for (index, line) in self.lines.iter().enumerate() {
            let _ = write!(
                text,
                " <span><i class=\"s{index}\"></i>{}</span>",
                line.name
            );
        }
        text.push_str("</p>");
        text
    }

    fn place(&self, at: f64) -> f64 {
        let scale = |at: f64| if self.log { at.max(1.0).ln() } else { at };
        let ticks = || self.ticks.iter().map(|(at, _)| scale(*at));
        let (low, high) = (
            if self.log {
                ticks().fold(f64::MAX, f64::min)
            } else {
                0.0
            },
            ticks().fold(f64::MIN, f64::max),
        );
        let part = (scale(at) - low) / (high - low).max(f64::MIN_POSITIVE);
        // Names of places need room beside the outermost.
        let (left, right) = (LEFT + 24.0, WIDTH - RIGHT - 40.0);
        left + part * (right - left)
    }
}

/// A round step that divides so much into three to six parts.
fn step(highest: f64) -> f64 {
    let rough = highest.max(1e-9) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    step.into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough)
}

/// With as many digits as can be read.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        small if small == 0.0 || small >= 100.0 => 0,
        small if small >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{value:.digits$}");
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        text
    } else {
        format!("{text}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (highest, wanted) in [(10.0, 2.0), (101.0, 50.0), (0.9, 0.2), (7000.0, 2000.0)] {
            assert!((step(highest) - wanted).abs() < 1e-9, "{highest}");
        }
    }

    #[test]
    fn numbers_can_be_read() {
        let numbers = [0.0, 0.5, 12.34, 1234.5, -1_000_000.0].map(number);
        assert_eq!(numbers, ["0", "0.5", "12.3", "1,234", "-1,000,000"]);
    }

    #[test]
    fn a_plot_shows_every_point() {
        let line = |name: &str| Line {
            name: name.to_owned(),
            points: vec![(1.0, 3.0), (64.0, 5.0)],
        };
        let plot = Plot {
            x: "consumers",
            y: "us",
            ticks: vec![(1.0, "1".to_owned()), (64.0, "64".to_owned())],
            log: true,
            lines: vec![line("a"), line("b")],
        };
        assert_eq!(plot.svg().matches("<circle").count(), 4);
        assert_eq!(plot.legend().matches("<span>").count(), 2);
    }
}
