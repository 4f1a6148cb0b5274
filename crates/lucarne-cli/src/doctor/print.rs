//! The doctor's report, for people.

use std::collections::BTreeMap;

use lucarne::Rung;

use super::machine::NodeState;
use super::trials::{Came, Cell, Trial};
use super::{Report, Verdict};
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
        let display = if machine.display.is_empty() {
            "none".to_owned()
        } else {
            machine.display.join(", ")
        };
        output.field("display", display)?;
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

    fn print_devices(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!("\n{}", bold("Devices")))?;
        for device in &self.devices {
            let place = format!("{}:{}", device.api, device.number);
            output.field(&place, format_args!("{} ({})", device.name, device.driver))?;
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
        output.line(lines)
    }

    /// Each reason once, with every trial that it is about.
    fn print_reasons(&self, output: &mut Output) -> Result<(), Failure> {
        for (came, title) in [
            (Came::Crashed, "Crashed"),
            (Came::Hung, "Hung"),
            (Came::Failed, "Failed, although the drivers offer it"),
            (Came::NotOffered, "Not offered"),
        ] {
            let mut reasons = BTreeMap::<&str, Vec<String>>::new();
            for (trial, cell) in self.cells().filter(|(_, cell)| cell.outcome == came) {
                let reason = cell.reason.as_deref().unwrap_or("no reason is known");
                reasons.entry(reason).or_default().push(place(trial, cell));
            }
            if reasons.is_empty() {
                continue;
            }
            output.line(format_args!("\n{}", bold(title)))?;
            for (reason, places) in reasons {
                let more = places.len().saturating_sub(3);
                let mut named = places.into_iter().take(3).collect::<Vec<_>>().join("; ");
                if more > 0 {
                    named += &format!("; and {more} more");
                }
                output.line(format_args!("  {named}\n    → {reason}"))?;
            }
        }
        Ok(())
    }

    fn cells(&self) -> impl Iterator<Item = (&Trial, &Cell)> {
        self.trials
            .iter()
            .flat_map(|trial| trial.cells.iter().map(move |cell| (trial, cell)))
    }

    fn print_verdict(&self, output: &mut Output) -> Result<(), Failure> {
        let text = match self.verdict {
            Verdict::ZeroCopy => {
                green("Frames can be shared between graphics APIs without a copy.")
            }
            Verdict::ZeroCopyEmulated => green(
                "Frames can be shared between graphics APIs without a copy, as dma-bufs are emulated here.",
            ),
            Verdict::CopiesOnly => red("Frames can be shared here, but each is copied."),
            Verdict::Nothing => red("No way to share frames works here."),
            Verdict::NotTried => "Nothing was tried; without --no-trials it is.".to_owned(),
        };
        output.line(format_args!("\n{text}"))
    }
}

fn place(trial: &Trial, cell: &Cell) -> String {
    let rung = Rung::ALL
        .into_iter()
        .find(|rung| rung.number() == cell.rung);
    let rung = rung.map(|rung| rung.to_string()).unwrap_or_default();
    format!("{} to {}, {rung}", trial.from, trial.to)
}

fn short(cell: &Cell) -> String {
    match cell.outcome {
        Came::Passed => {
            let copies = match cell.copies {
                Some([0, 0]) | None => "ok".to_owned(),
                Some([from, to]) => format!("ok, {} copies", from + to),
            };
            if cell.emulated {
                format!("{copies} (emulated)")
            } else {
                copies
            }
        }
        Came::NotOffered => "-".to_owned(),
        Came::Failed => "FAILED".to_owned(),
        Came::Crashed => "CRASHED".to_owned(),
        Came::Hung => "HUNG".to_owned(),
        Came::NotTried => "not tried".to_owned(),
    }
}
