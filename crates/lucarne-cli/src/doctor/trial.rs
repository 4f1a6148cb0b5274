//! One pair of devices, in a child: tried rung by rung, with a line for each step as soon as it is known.

use clap::Args;
use lucarne::{MemoryPath, Rung};
use lucarne_conformance::{Case, Late, Machine, Outcome, Ran, Row, Set, needs};
use serde::{Deserialize, Serialize};

use super::cell::{Came, Cell};
use super::picture::Picture;
use super::trials::Place;
use crate::output::Output;
use crate::{Answer, Failure};

/// Why an end is asked for nothing on a path.
const ONE_KIND: &str = "an allocator of the CPU makes one kind of memory only";

/// The best rung last: a driver that crashes there has shown what else it can do.
pub(super) const ORDER: [Rung; 4] = [
    Rung::HostMemory,
    Rung::OpaqueFd,
    Rung::LinearDmaBuf,
    Rung::TiledDmaBuf,
];

/// One step, as the child prints it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    Cell(Box<Cell>),
    /// Behind the cell of the same rung, where that passed.
    Late {
        rung: u8,
        late: Late,
    },
}

impl Line {
    pub(super) fn cell(cell: Cell) -> Self {
        Self::Cell(Box::new(cell))
    }
}

#[derive(Args, Debug)]
pub(crate) struct TrialOptions {
    from: Place,
    to: Place,
}

/// The child.
pub(crate) fn run(options: &TrialOptions, output: &mut Output) -> Result<Answer, Failure> {
    let machine = Machine::of_pair(options.from.numbered(), options.to.numbered())?;
    if let Some(note) = machine.notes().first() {
        return Err(note.reason.clone().into());
    }
    let mut offered: Option<Offered> = None;
    for rung in ORDER {
        // Drivers are asked once for each path.
        if offered.as_ref().is_none_or(|one| one.path != rung.path()) {
            offered = Some(Offered::ask(&machine, rung.path())?);
        }
        if let Some(offered) = &offered {
            offered.try_rung(&machine, rung, output)?;
        }
    }
    Ok(Answer::Yes)
}

/// What the pair offers on a path.
struct Offered {
    path: MemoryPath,
    cases: Vec<Case>,
    refused: Vec<Row>,
}

impl Offered {
    fn ask(machine: &Machine, path: MemoryPath) -> Result<Self, Failure> {
        let (cases, refused) = machine.cases(path, Set::Trial)?;
        Ok(Self {
            path,
            cases,
            refused,
        })
    }

    fn try_rung(&self, machine: &Machine, rung: Rung, output: &mut Output) -> Result<(), Failure> {
        let of_rung = || {
            let all = self.cases.iter();
            all.filter(move |case| case.agreement().rung == rung)
        };
        let Some(first) = of_rung().next() else {
            return output.json(&Line::cell(self.why_not(rung)));
        };
        let ran: Vec<Ran> = of_rung().map(|case| machine.run_and_show(case)).collect();
        let cell = cell(rung, &ran);
        let passed = cell.passed();
        output.json(&Line::cell(cell))?;
        if passed {
            let (rung, late) = (rung.number(), machine.run_late(first));
            output.json(&Line::Late { rung, late })?;
        }
        Ok(())
    }

    fn why_not(&self, rung: Rung) -> Cell {
        let cell = Cell::new(rung, Came::NotOffered);
        let mut better = self.cases.iter().flat_map(|case| &case.agreement().refused);
        if let Some(refused) = better.find(|refused| refused.rung == rung) {
            return Cell {
                needs: needs(&refused.reason),
                ..cell.because(refused.reason.to_string())
            };
        }
        let whole = self.refused.iter().find_map(|row| match &row.outcome {
            Outcome::NotOffered(reason) => Some((reason, &row.needs)),
            _ => None,
        });
        match whole {
            Some((reason, needs)) => Cell {
                needs: needs.clone(),
                ..cell.because(reason)
            },
            None if self.refused.is_empty() => cell.because(ONE_KIND),
            None => cell,
        }
    }
}

fn cell(rung: Rung, ran: &[Ran]) -> Cell {
    let failure = ran.iter().find_map(|one| match &one.row.outcome {
        Outcome::Failed(reason) | Outcome::Refused(reason) => {
            let reason = match &one.row.modifier {
                Some(modifier) => format!("{modifier}: {reason}"),
                None => reason.clone(),
            };
            Some((reason, one))
        }
        _ => None,
    });
    let (cell, shown) = match failure {
        Some((reason, one)) => (Cell::new(rung, Came::Failed).because(reason), Some(one)),
        None => (Cell::new(rung, Came::Passed), ran.first()),
    };
    let layouts = ran.iter().filter_map(|one| one.row.modifier.clone());
    Cell {
        layouts: layouts.collect(),
        copies: ran.iter().find_map(|one| one.row.copies),
        emulated: ran.iter().any(|one| one.row.emulated),
        picture: shown
            .and_then(|one| one.seen.as_ref())
            .and_then(Picture::of),
        ..cell
    }
}
