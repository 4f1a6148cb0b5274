//! What is shown, and what keys do to it.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use lucarne_stream::Found;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::rows::{self, Row};

/// What the streams are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Rate,
    Drops,
    Latency,
    Consumers,
}

impl Sort {
    const ALL: [Self; 5] = [
        Self::Name,
        Self::Rate,
        Self::Drops,
        Self::Latency,
        Self::Consumers,
    ];

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Rate => "rate",
            Self::Drops => "drops",
            Self::Latency => "latency",
            Self::Consumers => "consumers",
        }
    }

    /// The highest first, and then by name.
    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let number = |row: &Row| match self {
            Self::Name => 0.0,
            Self::Rate => row.rate.unwrap_or(-1.0),
            Self::Drops => row.drops.unwrap_or(-1.0),
            Self::Latency => row.latency_ms.unwrap_or(-1.0),
            Self::Consumers => f64::from(row.consumers),
        };
        let by_number = number(other).total_cmp(&number(one));
        by_number.then_with(|| one.name.cmp(&other.name))
    }
}

/// Which page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Table,
    Details,
    Help,
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Draw,
    End,
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) folder: PathBuf,
    pub(super) page: Page,
    pub(super) sort: Sort,
    pub(super) rows: Vec<Row>,
    /// Whether anybody has looked yet.
    pub(super) has_looked: bool,
    last: Vec<Found>,
    /// By name, so that it stays when others come and go.
    selected: Option<String>,
}

impl View {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            page: Page::Table,
            sort: Sort::Name,
            rows: Vec::new(),
            has_looked: false,
            last: Vec::new(),
            selected: None,
        }
    }

    /// Takes a new look at the streams.
    pub(super) fn see(&mut self, found: Vec<Found>) {
        self.rows = rows::of(&self.last, &found);
        self.last = found;
        self.has_looked = true;
        self.arrange();
    }

    fn arrange(&mut self) {
        let sort = self.sort;
        self.rows.sort_by(|one, other| sort.compare(one, other));
        // The details of a stream that is gone stay: their page says so.
        if self.page == Page::Table && self.selected_index().is_none() {
            self.selected = self.rows.first().map(|row| row.name.clone());
        }
    }

    pub(super) fn selected_name(&self) -> Option<&str> {
        self.selected.as_deref()
    }

    pub(super) fn selected_index(&self) -> Option<usize> {
        let name = self.selected.as_ref()?;
        self.rows.iter().position(|row| row.name == *name)
    }

    pub(super) fn selected(&self) -> Option<&Row> {
        self.rows.get(self.selected_index()?)
    }

    /// Selects the row so many places further on, the first or the last where there are none.
    fn step(&mut self, places: isize) {
        let Some(last) = self.rows.len().checked_sub(1) else {
            return;
        };
        let at = self.selected_index().unwrap_or(0);
        let at = at.saturating_add_signed(places).min(last);
        self.selected = Some(self.rows[at].name.clone());
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, self.page) {
            (KeyCode::Char('q'), _) => return Next::End,
            (KeyCode::Char('c' | 'd'), _) if is_ctrl => return Next::End,
            (KeyCode::Char('?' | 'h'), Page::Help) => self.page = Page::Table,
            (KeyCode::Char('?' | 'h'), _) => self.page = Page::Help,
            (KeyCode::Esc, Page::Table) => return Next::End,
            (KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace, Page::Details | Page::Help) => {
                self.page = Page::Table;
                self.arrange();
            }
            (KeyCode::Enter, Page::Table) if self.selected().is_some() => {
                self.page = Page::Details;
            }
            (KeyCode::Char('s'), _) => {
                self.sort = self.sort.next();
                self.arrange();
            }
            (KeyCode::Down | KeyCode::Char('j'), _) => self.step(1),
            (KeyCode::Up | KeyCode::Char('k'), _) => self.step(-1),
            (KeyCode::PageDown, _) => self.step(10),
            (KeyCode::PageUp, _) => self.step(-10),
            (KeyCode::Home | KeyCode::Char('g'), _) => self.step(isize::MIN),
            (KeyCode::End | KeyCode::Char('G'), _) => self.step(isize::MAX),
            _ => {}
        }
        Next::Draw
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::found;
    use super::*;

    fn view(names: &[&str]) -> View {
        let mut view = View::new(Path::new("/streams"));
        view.see(names.iter().map(|name| found(name, 1.0, 10)).collect());
        view
    }

    fn press(view: &mut View, code: KeyCode) -> Next {
        view.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_select_and_stop_at_the_ends() {
        let mut view = view(&["a", "b", "c"]);
        assert_eq!(view.selected_name(), Some("a"));
        press(&mut view, KeyCode::Up);
        assert_eq!(view.selected_name(), Some("a"));
        press(&mut view, KeyCode::Char('j'));
        assert_eq!(view.selected_name(), Some("b"));
        press(&mut view, KeyCode::End);
        press(&mut view, KeyCode::Down);
        assert_eq!(view.selected_name(), Some("c"));
        press(&mut view, KeyCode::Home);
        assert_eq!(view.selected_name(), Some("a"));
    }

    #[test]
    fn the_selection_stays_with_its_stream() {
        let mut view = view(&["b", "c"]);
        press(&mut view, KeyCode::Down);
        let names = ["a", "b", "c"];
        view.see(names.map(|name| found(name, 2.0, 70)).into());
        assert_eq!(
            (view.selected_name(), view.selected_index()),
            (Some("c"), Some(2))
        );
        view.see(vec![found("a", 3.0, 130)]);
        assert_eq!(view.selected_name(), Some("a"), "the stream is gone");
        view.see(Vec::new());
        assert_eq!(view.selected_name(), None);
        press(&mut view, KeyCode::Down);
        press(&mut view, KeyCode::Enter);
        assert_eq!(view.page, Page::Table, "nothing to show details of");
    }

    #[test]
    fn s_sorts_by_one_column_after_another() {
        let mut view = view(&["a", "b"]);
        view.see(vec![found("a", 2.0, 20), found("b", 2.0, 70)]);
        let names = |view: &View| {
            view.rows
                .iter()
                .map(|row| row.name.clone())
                .collect::<String>()
        };
        assert_eq!(names(&view), "ab");
        press(&mut view, KeyCode::Char('s'));
        assert_eq!((view.sort, names(&view)), (Sort::Rate, "ba".to_owned()));
        for _ in 1..Sort::ALL.len() {
            press(&mut view, KeyCode::Char('s'));
        }
        assert_eq!((view.sort, names(&view)), (Sort::Name, "ab".to_owned()));
    }

    #[test]
    fn keys_turn_pages_and_end() {
        let mut view = view(&["a"]);
        press(&mut view, KeyCode::Enter);
        assert_eq!(view.page, Page::Details);
        press(&mut view, KeyCode::Char('?'));
        assert_eq!(view.page, Page::Help);
        press(&mut view, KeyCode::Esc);
        assert_eq!(view.page, Page::Table);
        assert_eq!(press(&mut view, KeyCode::Char('q')), Next::End);
        let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.press(ctrl_c), Next::End);
        assert_eq!(press(&mut view, KeyCode::Char('c')), Next::Draw);
    }
}
