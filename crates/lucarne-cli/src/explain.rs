//! `lucarne explain`: the negotiation, step by step.

use std::fmt;

use clap::Args;
use lucarne::negotiate::{Candidate, Reason, RefusedRung, Side};
use lucarne::{Agreement, Extent, Format, MemoryPath, Offer, Request, Rung, Usage, negotiate};
use serde::Serialize;

use crate::cli_values::{extent_value, format_value, usage_value};
use crate::devices::End;
use crate::output::{Output, bold, counted, format_name, green, layout_name, red};
use crate::{Answer, Failure};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lucarne explain --from vulkan --to egl
  lucarne explain --from vulkan:1 --to egl:radv --format NV12 --size 3840x2160
  lucarne explain --from theirs.json --to egl    with an offer that `lucarne caps --record` wrote elsewhere
  lucarne explain --from vulkan --to cpu --all   every format on every path")]
pub(crate) struct Options {
    /// Who makes the frames: vulkan, egl, gbm or cpu, with :NUMBER or :NAME where there are several devices; or a file.
    #[arg(long, value_name = "END")]
    from: End,
    /// Who shows them.
    #[arg(long, value_name = "END")]
    to: End,
    /// Acceptable formats, best first; with commas, or given several times. The 8-bit ones where none is named.
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', value_parser = format_value)]
    format: Vec<Format>,
    /// The frames' size.
    #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "1280x720", value_parser = extent_value)]
    size: Extent,
    /// What the producer does with the frames.
    #[arg(long, value_name = "USAGE", default_value = "render", value_parser = usage_value)]
    producer_usage: Usage,
    /// What the consumer does with the frames.
    #[arg(long, visible_alias = "usage", value_name = "USAGE", default_value = "sample", value_parser = usage_value)]
    consumer_usage: Usage,
    /// Show each format on each memory path, not only what was better than the choice.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Explanation {
    from: String,
    to: String,
    size: [u32; 2],
    agreed: Option<Agreed>,
    /// What was not taken on the rung that was agreed on.
    lost: Vec<Lost>,
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<Tried>,
}

#[derive(Debug, Serialize)]
struct Agreed {
    rung: String,
    number: u8,
    format: String,
    modifiers: Vec<String>,
    acquire: String,
    release: String,
}

#[derive(Debug, Serialize)]
struct Refused {
    rung: String,
    reason: String,
    /// What would make it possible, on which side.
    needs: Vec<[String; 2]>,
}

/// A format in one layout, or in any, on the rung that was agreed on.
#[derive(Debug, Serialize)]
struct Lost {
    format: String,
    layout: Option<String>,
    /// `producer`, `consumer`, `both`; `request` where it could be taken, and something before it was.
    by: &'static str,
    reason: String,
    needs: Vec<[String; 2]>,
}

/// One format on one rung.
#[derive(Debug, Serialize)]
struct Tried {
    format: String,
    rung: String,
    kept: bool,
    /// The layouts that both sides can use, or why none.
    what: String,
}

pub(crate) fn run(options: &Options, output: &mut Output) -> Result<Answer, Failure> {
    let from = options.from.offer(options.producer_usage)?;
    let to = options.to.offer(options.consumer_usage)?;
    let request = request(options);
    let (agreement, refused) = try_once(&from, &to, &request);
    let lost = agreement
        .as_ref()
        .map(|agreement| lost(agreement, &from, &to, &request));
    let candidates = if options.all {
        try_all(&from, &to, &request)
    } else {
        Vec::new()
    };
    let explanation = Explanation {
        from: from.name,
        to: to.name,
        size: [options.size.width, options.size.height],
        agreed: agreement.as_ref().map(Agreed::of),
        lost: lost.unwrap_or_default(),
        refused: refused.iter().map(Refused::of).collect(),
        candidates,
    };
    if output.is_json() {
        output.json(&explanation)?;
    } else {
        explanation.print(&request, output)?;
    }
    Ok(if explanation.agreed.is_some() {
        Answer::Yes
    } else {
        Answer::No
    })
}

fn request(options: &Options) -> Request {
    let request = Request::new(options.size).usage(options.producer_usage, options.consumer_usage);
    if options.format.is_empty() {
        request
    } else {
        request.formats(&options.format)
    }
}

/// What is agreed on, and each better rung, refused; without the one, each rung.
fn try_once(from: &Offer, to: &Offer, request: &Request) -> (Option<Agreement>, Vec<RefusedRung>) {
    match negotiate(from, to, request) {
        Ok(agreement) => {
            let refused = agreement.refused.clone();
            (Some(agreement), refused)
        }
        Err(refusal) => (None, refusal.rungs),
    }
}

/// What came of each format on the rung that was agreed on, in the request's order: what of it was struck out, or that it comes
/// later than the one that was taken.
fn lost(agreement: &Agreement, from: &Offer, to: &Offer, request: &Request) -> Vec<Lost> {
    let mut formats: Vec<Format> = Vec::new();
    for &format in &request.formats {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    let mut all = Vec::new();
    for format in formats {
        if format == agreement.format {
            let candidates = agreement.candidates.iter();
            let of_it = candidates.filter(|one| one.format == format);
            all.extend(of_it.map(Lost::candidate));
            continue;
        }
        let one = request.clone().formats(&[format]);
        let (other, refused) = try_once(from, to, &one.paths(&[agreement.path()]));
        if let Some(other) = other.filter(|other| other.rung == agreement.rung) {
            all.push(Lost::outranked(format, &other, agreement.format));
        }
        let on_rung = |refused: &&RefusedRung| refused.rung == agreement.rung;
        let refused = refused.iter().filter(on_rung);
        all.extend(refused.flat_map(|refused| Lost::refused(format, &refused.reason)));
    }
    all
}

/// Each format on each path, as if nothing else had been asked for.
fn try_all(from: &Offer, to: &Offer, request: &Request) -> Vec<Tried> {
    let mut all = Vec::new();
    for format in &request.formats {
        for path in MemoryPath::ALL {
            let one = request.clone().formats(&[*format]).paths(&[path]);
            let (kept, refused) = try_once(from, to, &one);
            let on_path = |refused: &&RefusedRung| refused.rung.path() == path;
            all.extend(refused.iter().filter(on_path).map(|refused| Tried {
                format: format_name(*format),
                rung: refused.rung.to_string(),
                kept: false,
                what: refused.reason.to_string(),
            }));
            all.extend(kept.map(|agreement| Tried {
                format: format_name(*format),
                rung: agreement.rung.to_string(),
                kept: true,
                what: layouts(&agreement),
            }));
        }
    }
    all
}

fn layouts(agreement: &Agreement) -> String {
    if agreement.rung == Rung::OpaqueFd {
        return "the driver's own layout".to_owned();
    }
    let names: Vec<String> = agreement
        .modifiers
        .iter()
        .map(ToString::to_string)
        .collect();
    names.join("\n    ")
}

impl Agreed {
    fn of(agreement: &Agreement) -> Self {
        Self {
            rung: agreement.rung.to_string(),
            number: agreement.rung.number(),
            format: format_name(agreement.format),
            modifiers: agreement
                .modifiers
                .iter()
                .map(ToString::to_string)
                .collect(),
            acquire: agreement.acquire.to_string(),
            release: agreement.release.to_string(),
        }
    }
}

impl Refused {
    fn of(refused: &RefusedRung) -> Self {
        Self {
            rung: refused.rung.to_string(),
            reason: refused.reason.to_string(),
            needs: needs(&refused.reason),
        }
    }
}

/// What would help, each once, and on which side.
fn needs(reason: &Reason) -> Vec<[String; 2]> {
    let mut needs = Vec::new();
    for reason in reason.flatten() {
        for requirement in reason.requirements() {
            let need = [side_of(reason).to_owned(), requirement.to_string()];
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
    }
    needs
}

fn side_of(reason: &Reason) -> &'static str {
    match reason.side() {
        Some(Side::Producer) => "producer",
        Some(Side::Consumer) => "consumer",
        None => "both",
    }
}

impl Lost {
    fn candidate(candidate: &Candidate) -> Self {
        Self {
            format: format_name(candidate.format),
            layout: Some(layout_name(candidate.tiling)),
            by: side_of(&candidate.reason),
            reason: candidate.reason.to_string(),
            needs: needs(&candidate.reason),
        }
    }

    /// A format that would have been agreed on, had it been asked for first.
    fn outranked(format: Format, other: &Agreement, winner: Format) -> Self {
        Self {
            format: format_name(format),
            layout: None,
            by: "request",
            reason: format!(
                "both sides can ({}); it was asked for after {}",
                counted(other.modifiers.len().max(1), "layout"),
                format_name(winner)
            ),
            needs: Vec::new(),
        }
    }

    fn refused(format: Format, reason: &Reason) -> Vec<Self> {
        match reason {
            Reason::Candidates(candidates) => candidates.iter().map(Self::candidate).collect(),
            reason => vec![Self {
                format: format_name(format),
                layout: None,
                by: side_of(reason),
                reason: reason.to_string(),
                needs: needs(reason),
            }],
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format)?;
        if let Some(layout) = &self.layout {
            write!(f, ", {layout}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Explanation {
    fn print(&self, request: &Request, output: &mut Output) -> Result<(), Failure> {
        let formats: Vec<String> = request
            .formats
            .iter()
            .map(|format| format_name(*format))
            .collect();
        output.field("from", &self.from)?;
        output.field("to", &self.to)?;
        output.field(
            "asked for",
            format_args!("{}, {}", request.extent, formats.join(" or ")),
        )?;
        output.field(
            "uses",
            format_args!(
                "{} by the producer, {} by the consumer",
                request.producer, request.consumer
            ),
        )?;
        for refused in &self.refused {
            output.line(format_args!("{} {}", red("no "), bold(&refused.rung)))?;
            output.field("because", &refused.reason)?;
        }
        match &self.agreed {
            Some(agreed) => {
                agreed.print(output)?;
                self.print_lost(output)?;
            }
            None => output.line("Nothing can be shared so.")?,
        }
        if !self.candidates.is_empty() {
            output.line(format_args!("\n{}", bold("Each format on each path")))?;
        }
        for tried in &self.candidates {
            let mark = if tried.kept { green("yes") } else { red("no ") };
            output.line(format_args!(
                "{mark} {} as {}: {}",
                tried.format, tried.rung, tried.what
            ))?;
        }
        Ok(())
    }
}

impl Explanation {
    /// By whom something was struck out, its reason names.
    fn print_lost(&self, output: &mut Output) -> Result<(), Failure> {
        let (later, struck): (Vec<&Lost>, Vec<&Lost>) =
            self.lost.iter().partition(|lost| lost.by == "request");
        for (name, all) in [("struck out", struck), ("later", later)] {
            let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
            if !lines.is_empty() {
                output.field(name, lines.join("\n"))?;
            }
        }
        Ok(())
    }
}

impl Agreed {
    fn print(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!(
            "{} {}, rung {} of 4",
            green("yes"),
            bold(&self.rung),
            self.number
        ))?;
        output.field("format", &self.format)?;
        if !self.modifiers.is_empty() {
            output.field("layout", self.modifiers.join("\n"))?;
        }
        if self.modifiers.len() > 1 {
            output.field("", "the producer's driver chooses one of these")?;
        }
        output.field(
            "fence out",
            format_args!("{} (from the producer to the consumer)", self.acquire),
        )?;
        output.field(
            "fence back",
            format_args!("{} (from the consumer to the producer)", self.release),
        )
    }
}
