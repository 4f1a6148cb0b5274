//! The doctor's report, for people.

use lucarne::Rung;
use lucarne_conformance::Late;

use super::cell::{Came, Cell};
use super::display::{Asked, Kind, Wayland, X11};
use super::machine::NodeState;
use super::{Report, Verdict, problems};
use crate::Failure;
use crate::output::{Output, bold, green, red, table};

impl Report {
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        self.print_machine(output)?;
        self.print_devices(output)?;
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
        if !machine.variables.is_empty() {
            output.field(
                "variables",
                format_args!(
                    "{} (they change which drivers are used)",
                    machine.variables.join(", ")
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

    fn print_trials(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!(
            "\n{}",
            bold("Trials: a pattern was shared, and every pixel compared")
        ))?;
        let mut header = vec!["FROM".to_owned(), "TO".to_owned()];
        header.extend(Rung::ALL.map(|rung| rung.to_string()));
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut lines = table(&header);
        for trial in &self.trials {
            let mut row = vec![trial.from.to_string(), trial.to.to_string()];
            row.extend(trial.cells.iter().map(short));
            lines.add_row(row);
        }
        output.table(lines)
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
