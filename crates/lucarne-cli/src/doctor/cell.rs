//! What came of one rung of one pair of devices.

use lucarne::Rung;
use lucarne_conformance::{Late, Need};
use serde::{Deserialize, Serialize};

use super::picture::Picture;

/// What came of one rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    /// From 1, the best.
    pub(super) rung: u8,
    pub(super) outcome: Came,
    /// Why it did not work.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) reason: Option<String>,
    /// What the sides lack, where it is not offered.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) needs: Vec<Need>,
    /// The layouts that were tried, by their modifiers' meanings.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) layouts: Vec<String>,
    /// How often the producer and the consumer copied each frame.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) copies: Option<[u32; 2]>,
    #[serde(default)]
    pub(super) emulated: bool,
    /// What came of frames that were handed over before their work was done, where the others came out right.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) late: Option<Late>,
    /// What came out: in a recorded report, only where it was wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) picture: Option<Picture>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Came {
    Crashed,
    Hung,
    /// The drivers offer it, and it did not work.
    Failed,
    /// The process ended before; or, with a reason, a driver hung in another trial.
    NotTried,
    NotOffered,
    Passed,
}

/// More than any honest text has.
const LONGEST: usize = 4000;
const MOST: usize = 64;

impl Cell {
    pub(super) fn new(rung: Rung, outcome: Came) -> Self {
        Self {
            rung: rung.number(),
            outcome,
            reason: None,
            needs: Vec::new(),
            layouts: Vec::new(),
            copies: None,
            emulated: false,
            late: None,
            picture: None,
        }
    }

    pub(super) fn because(self, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..self
        }
    }

    pub(super) fn passed(&self) -> bool {
        self.outcome == Came::Passed
    }

    /// Whether a driver did not do what it offers.
    pub(super) fn is_bad(&self) -> bool {
        match self.outcome {
            Came::Crashed | Came::Hung | Came::Failed => true,
            Came::NotTried | Came::NotOffered => false,
            Came::Passed => self.failed_late(),
        }
    }

    /// Whether only frames came out right that were done when they were handed over.
    pub(super) fn failed_late(&self) -> bool {
        matches!(self.late, Some(Late::Failed { .. }))
    }

    pub(super) fn rung(&self) -> Option<Rung> {
        Rung::ALL
            .into_iter()
            .find(|rung| rung.number() == self.rung)
    }

    /// How often each frame is copied, on both sides together.
    pub(super) fn all_copies(&self) -> u32 {
        let [producer, consumer] = self.copies.unwrap_or_default();
        producer.saturating_add(consumer)
    }

    /// What is said of pixels that were right.
    pub(super) fn ok(&self) -> String {
        match self.all_copies() {
            0 => "ok".to_owned(),
            1 => "ok, 1 copy".to_owned(),
            copies => format!("ok, {copies} copies"),
        }
    }

    /// Gives it texts that a terminal, a page and a reader can bear, whatever a driver has made of them.
    pub(super) fn tame(&mut self) {
        self.reason = self.reason.as_deref().map(tame);
        self.layouts.truncate(MOST);
        self.layouts.iter_mut().for_each(|text| *text = tame(text));
        tame_needs(&mut self.needs);
        match &mut self.late {
            Some(Late::CpuWaits { reason, needs }) => {
                *reason = tame(reason);
                tame_needs(needs);
            }
            Some(Late::Failed { reason }) => *reason = tame(reason),
            _ => {}
        }
    }
}

fn tame_needs(needs: &mut Vec<Need>) {
    needs.truncate(MOST);
    for need in needs {
        need.kind = tame(&need.kind);
        need.name = tame(&need.name);
        need.remedy = need.remedy.as_deref().map(tame);
    }
}

/// One text without control characters, names of folders, and what is beyond any honest length.
pub(super) fn tame(text: &str) -> String {
    let whole: String = text.chars().take(LONGEST).collect();
    super::private::without_folders(&visible(&whole))
}

/// The same without control characters, which move a terminal's cursor.
pub(super) fn visible(text: &str) -> String {
    let control = |one: char| one.is_control() && one != '\n';
    text.replace(control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drivers_text_moves_no_cursor_and_fills_no_page() {
        let reason = "\x1b[2Jgone".to_owned() + &"x".repeat(10_000);
        let mut cell = Cell::new(Rung::HostMemory, Came::Failed).because(reason);
        cell.tame();
        let reason = cell.reason.expect("a reason");
        assert!(reason.starts_with("\u{fffd}[2Jgone"), "{reason:?}");
        assert_eq!(reason.chars().count(), LONGEST);
    }
}
