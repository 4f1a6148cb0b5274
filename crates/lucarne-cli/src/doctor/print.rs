//! The doctor's report, for people.

use comfy_table::{ColumnConstraint, Table};
use lucarne::Rung;
use lucarne_conformance::Late;

use super::cell::{Came, Cell};
use super::display::{Asked, Kind, Wayland, X11};
use super::extension::{self, Extension, places};
use super::machine::NodeState;
use super::trials::Trial;
use super::{Report, Verdict, problems};
use crate::Failure;
use crate::output::{Output, bold, green, red, table};

impl Report {
    /// `verbose`: the extensions that are there, too.
    pub(super) fn print(&self, output: &mut Output, verbose: bool) -> Result<(), Failure> {
        self.print_machine(output)?;
        self.print_devices(output)?;
        self.print_extensions(output, verbose)?;
        if !self.trials.is_empty() {
            self.print_trials(output)?;
            self.print_reasons(output)?;
        }
        self.print_verdict(output)
    }

    fn print_machine(&self, output: &mut Output) -> Result<(), Failure> {
        let machine = &self.machine;
        output.line(bold("This machine"))?;
        output.field("kernel", &machine.kernel)?;
        self.print_displays(output)?;
        for sandbox in &machine.sandbox {
            output.field("inside", sandbox)?;
        }
        for variable in &machine.variables {
            output.field(
                "variable",
                format_args!(
                    "{}={}\n→ {}",
                    variable.name, variable.value, variable.effect
                ),
            )?;
        }
        for node in &machine.nodes {
            let driver = node
                .driver
                .as_ref()
                .map(|driver| format!(", driver {driver}"))
                .unwrap_or_default();
            let state = match node.state {
                NodeState::Usable => green("usable"),
                NodeState::Absent => red("absent"),
                NodeState::NoPermission => red("no permission"),
            };
            let advice = node
                .advice
                .as_ref()
                .map(|advice| format!("\n→ {advice}"))
                .unwrap_or_default();
            output.field(
                "node",
                format_args!("{} {state}{driver}{advice}", node.path),
            )?;
        }
        for feature in &machine.features {
            let state = match feature.works {
                Some(true) => green("yes"),
                Some(false) => red("no"),
                None => "?".to_owned(),
            };
            let detail = if feature.detail.is_empty() {
                String::new()
            } else {
                format!("\n→ {}", feature.detail)
            };
            output.field("can", format_args!("{}: {state}{detail}", feature.name))?;
        }
        Ok(())
    }

    fn print_displays(&self, output: &mut Output) -> Result<(), Failure> {
        let displays = &self.displays;
        let asked = [
            told(Kind::Wayland, &displays.wayland, Wayland::lines),
            told(Kind::X11, &displays.x11, X11::lines),
        ];
        let mut lines = asked.into_iter().flatten().peekable();
        if lines.peek().is_none() {
            return output.field(
                "display",
                "none: neither WAYLAND_DISPLAY nor DISPLAY is set\n→ sharing needs none; for a window, log in to a desktop",
            );
        }
        for text in lines {
            output.field("display", text)?;
        }
        Ok(())
    }

    fn print_devices(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!("\n{}", bold("Devices")))?;
        for device in &self.devices {
            let place = format!("{}:{}", device.api, device.number);
            let advice = device.advice.as_ref();
            let advice = advice.map(|advice| format!("\n→ {advice}"));
            output.field(
                &place,
                format_args!(
                    "{} ({}){}",
                    device.name,
                    device.driver,
                    advice.unwrap_or_default()
                ),
            )?;
            for fault in device.faults() {
                output.field("", format_args!("fault worked around: {fault}"))?;
            }
        }
        for missing in &self.missing {
            output.field(
                missing.api.name(),
                format_args!("{} {}", red("no:"), missing.reason),
            )?;
        }
        Ok(())
    }

    fn print_extensions(&self, output: &mut Output, verbose: bool) -> Result<(), Failure> {
        let all = &self.extensions;
        if all.is_empty() {
            return Ok(());
        }
        let summary = extension::summary(all);
        output.line(format_args!("\n{}: {summary}", bold("Extensions")))?;
        let shown = all.iter().filter(|one| verbose || one.is_missing());
        let shown: Vec<&Extension> = shown.collect();
        if shown.is_empty() {
            return Ok(());
        }
        let least = if verbose { NARROW_VERBOSE } else { NARROW };
        output.table(if is_narrow(output, least) {
            long_extensions(&shown, verbose)
        } else if verbose {
            all_extensions(&shown)
        } else {
            missing_extensions(&shown)
        })
    }

    fn print_trials(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!(
            "\n{}",
            bold("Trials: a pattern was shared, and every pixel compared")
        ))?;
        output.table(if is_narrow(output, NARROW) {
            long_matrix(&self.trials)
        } else {
            matrix(&self.trials)
        })
    }

    /// Each reason once, with every trial that it is about.
    fn print_reasons(&self, output: &mut Output) -> Result<(), Failure> {
        let mut title = None;
        for problem in problems::of(self) {
            if title.replace(problem.kind) != Some(problem.kind) {
                output.line(format_args!("\n{}", bold(problem.kind.title())))?;
            }
            let more = problem.places.len().saturating_sub(3);
            let mut named = problem.places[..problem.places.len().min(3)].join("; ");
            if more > 0 {
                named += &format!("; and {more} more");
            }
            output.line(format_args!("  {named}\n    → {}", problem.reason))?;
            // What is said already is not said again.
            let unsaid = |remedy: &&String| !problem.reason.contains(remedy.as_str());
            for remedy in problem.remedies.iter().filter(unsaid) {
                output.line(format_args!("    → {remedy}"))?;
            }
        }
        Ok(())
    }

    fn print_verdict(&self, output: &mut Output) -> Result<(), Failure> {
        let sentence = self.verdict.sentence();
        let text = match self.verdict {
            Verdict::ZeroCopy | Verdict::ZeroCopyEmulated => green(sentence),
            Verdict::CopiesOnly | Verdict::Nothing => red(sentence),
            Verdict::NotTried => sentence.to_owned(),
        };
        output.line(format_args!("\n{text}"))?;
        match self.caveat() {
            Some(caveat) => output.line(red(&caveat)),
            None => Ok(()),
        }
    }
}

/// Fewer columns than these tables take without breaking words: they are printed one below the other then.
const NARROW: u16 = 80;
const NARROW_VERBOSE: u16 = 120;

fn is_narrow(output: &Output, least: u16) -> bool {
    output.width().is_some_and(|width| width < least)
}

fn missing_extensions(shown: &[&Extension]) -> Table {
    let mut lines = table(&["EXTENSION", "MISSING ON", "WITHOUT IT"]);
    for one in shown {
        lines.add_row([&one.name, &places(&one.missing_on), &one.cost]);
    }
    whole_names(lines)
}

fn all_extensions(shown: &[&Extension]) -> Table {
    let mut lines = table(&["EXTENSION", "FOR", "ON", "MISSING ON", "WITHOUT IT"]);
    for one in shown {
        let (on, missing_on) = (places(&one.on), places(&one.missing_on));
        lines.add_row([&one.name, &one.purpose, &on, &missing_on, &one.cost]);
    }
    whole_names(lines)
}

/// Names are looked for, and not broken.
fn whole_names(mut lines: Table) -> Table {
    if let Some(names) = lines.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    lines
}

/// One below the other.
fn long_extensions(shown: &[&Extension], verbose: bool) -> Table {
    let mut lines = table(&["EXTENSION"]);
    for one in shown {
        let mut told = Vec::new();
        if verbose {
            told.push(format!("for {}", one.purpose));
            told.extend((!one.on.is_empty()).then(|| format!("on {}", places(&one.on))));
        }
        if one.is_missing() {
            told.push(format!("missing on {}", places(&one.missing_on)));
        }
        let told = told.join("; ");
        lines.add_row([format!("{}\n{told}; without it: {}", one.name, one.cost)]);
    }
    lines
}

/// A row for each pair, a column for each rung.
fn matrix(trials: &[Trial]) -> Table {
    let mut header = vec!["FROM".to_owned(), "TO".to_owned()];
    header.extend(Rung::ALL.map(|rung| rung.to_string()));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut lines = table(&header);
    for trial in trials {
        let mut row = vec![trial.from.to_string(), trial.to.to_string()];
        row.extend(trial.cells.iter().map(short));
        lines.add_row(row);
    }
    lines
}

/// A row for each rung, below one for the pair.
fn long_matrix(trials: &[Trial]) -> Table {
    let mut lines = table(&["FROM, TO, MEMORY", "CAME OUT"]);
    for trial in trials {
        lines.add_row([format!("{} to {}", trial.from, trial.to)]);
        for cell in &trial.cells {
            let rung = cell.rung().map(|rung| rung.to_string());
            lines.add_row([format!("  {}", rung.unwrap_or_default()), short(cell)]);
        }
    }
    lines
}

/// What a server said, or why it said nothing; nothing where there is none.
fn told<T>(kind: Kind, asked: &Asked<T>, lines: impl Fn(&T) -> Vec<String>) -> Option<String> {
    let name = kind.name();
    match asked {
        Asked::NotSet => None,
        Asked::Answered(answer) => Some(format!("{name}\n{}", lines(answer).join("\n"))),
        Asked::Silent(reason) => Some(format!("{name} {}\n→ {reason}", red("does not answer"))),
    }
}

fn short(cell: &Cell) -> String {
    match cell.outcome {
        Came::Passed => {
            let emulated = if cell.emulated { " (emulated)" } else { "" };
            format!("{}{}{emulated}", cell.ok(), late_word(cell))
        }
        Came::NotOffered => "-".to_owned(),
        Came::Failed => "FAILED".to_owned(),
        Came::Crashed => "CRASHED".to_owned(),
        Came::Hung => "HUNG".to_owned(),
        Came::NotTried => "not tried".to_owned(),
    }
}

/// What there is to say of frames that were handed over early, in the table.
fn late_word(cell: &Cell) -> &'static str {
    match cell.late {
        Some(Late::Waited) => ", waits",
        Some(Late::Failed { .. }) => ", LATE FAILED",
        _ => "",
    }
}
