//! What the terminal shows: drawn from scratch each time, at whatever size it has.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};

use super::rows::{COLUMNS, Column, READERS, Row, meaning, milliseconds, or_dash, tenths};
use super::view::{Page, View};
use crate::list::age;
use crate::output::counted;

/// Between two columns.
const GAP: usize = 2;
/// The widest that a column gets; a modifier's name may be a sentence.
const WIDEST: usize = 40;

const HELP: [&str; 18] = [
    "up, down, k, j    select a stream",
    "Enter             its details, and back",
    "s                 sort by name, rate, drops, latency, consumers",
    "?                 this page, and back",
    "q, Ctrl-C         end",
    "",
    "RATE       frames a second",
    "DROPS      frames a second that some consumer did not get",
    "LATENCY    how old a frame was when a consumer took it; the worst",
    "COPIES     0: all use the producer's memory itself",
    "           0+: host memory, which some may have to copy",
    "-          not known, or not told by an older program",
    "",
    "Each stream is asked once an interval, as `lucarne list` asks.",
    "Its producer answers between two frames, out of what it knows",
    "anyway. No frame is taken and no slot is held: consumers do not",
    "notice.",
    "",
];

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let parts = [
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [head, body, foot] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(title(view)), head);
    match view.page {
        Page::Table => streams(frame, view, body),
        Page::Details => details(frame, view, body),
        Page::Help => frame.render_widget(Paragraph::new(HELP.map(Line::from).to_vec()), body),
    }
    let keys = match view.page {
        Page::Table => "q end  s sort  Enter details  ? help",
        Page::Details => "q end  Esc back  up, down another  ? help",
        Page::Help => "q end  Esc back",
    };
    frame.render_widget(Paragraph::new(keys.dim()), foot);
}

fn title(view: &View) -> Line<'static> {
    let count = counted(view.rows.len(), "stream");
    let sort = view.sort.name();
    Line::from(vec![
        "lucarne top".bold(),
        format!("  {count}, by {sort}").into(),
    ])
}

fn streams(frame: &mut Frame<'_>, view: &View, area: Rect) {
    if view.rows.is_empty() {
        let lines = if view.has_looked {
            vec![
                Line::from(format!("no streams in {}", view.folder.display())),
                Line::from(""),
                Line::from("`lucarne serve test` makes one."),
            ]
        } else {
            vec![Line::from("looking for streams")]
        };
        return frame.render_widget(Paragraph::new(lines), area);
    }
    let mut state = TableState::default().with_selected(view.selected_index());
    let table = table(&COLUMNS, &view.rows, area.width, |row: &Row| {
        match row.state {
            "streaming" => Style::new(),
            "paused" => Style::new().fg(Color::Yellow),
            _ => Style::new().dim(),
        }
    });
    frame.render_stateful_widget(table, area, &mut state);
}

/// As many columns as there is room for, the most important first.
fn table<T>(
    columns: &[Column<T>],
    rows: &[T],
    width: u16,
    style: impl Fn(&T) -> Style,
) -> Table<'static> {
    let chosen = choose(columns, rows, usize::from(width));
    let header = chosen
        .iter()
        .map(|(column, width)| cell(column, column.header, *width));
    let lines = rows.iter().map(|row| {
        let cells = chosen.iter();
        let cells = cells.map(|(column, width)| cell(column, &(column.cell)(row), *width));
        TableRow::new(cells.collect::<Vec<_>>()).style(style(row))
    });
    let header = TableRow::new(header.collect::<Vec<_>>()).bold();
    let widths = chosen
        .iter()
        .map(|(_, width)| u16::try_from(*width).unwrap_or(u16::MAX));
    Table::new(
        lines.collect::<Vec<_>>(),
        widths.map(Constraint::Length).collect::<Vec<_>>(),
    )
    .header(header)
    .column_spacing(u16::try_from(GAP).unwrap_or_default())
    .row_highlight_style(Style::new().reversed())
}

/// Columns that fit beside each other, in their order, with their widths. The first in rank is there in any case.
fn choose<T>(columns: &[Column<T>], rows: &[T], width: usize) -> Vec<(Column<T>, usize)> {
    let needs = |column: &Column<T>| {
        let cells = rows
            .iter()
            .map(|row| Line::from((column.cell)(row)).width());
        let widest = cells.chain([column.header.len()]).max().unwrap_or(0);
        widest.min(WIDEST)
    };
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|at| columns[*at].rank);
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    let mut taken = 0;
    for at in by_rank {
        let need = needs(&columns[at]);
        if chosen.is_empty() {
            chosen.push((at, need.min(width)));
            taken = need;
        } else if taken + GAP + need <= width {
            chosen.push((at, need));
            taken += GAP + need;
        } else {
            break;
        }
    }
    chosen.sort_unstable();
    let each = chosen.into_iter();
    each.map(|(at, width)| (Column { ..columns[at] }, width))
        .collect()
}

fn cell<T>(column: &Column<T>, text: &str, width: usize) -> Cell<'static> {
    let line = Line::from(shorten(text, width));
    Cell::from(if column.is_number {
        line.right_aligned()
    } else {
        line
    })
}

/// What fits, with a mark where something is missing.
fn shorten(text: &str, width: usize) -> String {
    if Line::from(text).width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        short.push(character);
        if Line::from(short.as_str()).width() >= width {
            short.pop();
            break;
        }
    }
    if width > 0 {
        short.push('…');
    }
    short
}

fn details(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let Some(row) = view.selected() else {
        let name = view.selected_name().unwrap_or_default();
        let gone = format!("the stream {name:?} is gone");
        return frame.render_widget(Paragraph::new(gone), area);
    };
    let lines: Vec<Line<'_>> = about(row)
        .into_iter()
        .map(|(field, value)| Line::from(vec![format!("{field:<10}").dim(), value.into()]))
        .collect();
    let height = u16::try_from(lines.len() + 1).unwrap_or(u16::MAX);
    let parts = [Constraint::Length(height), Constraint::Min(0)];
    let [above, below] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(lines), above);
    match &row.each {
        Some(each) if !each.is_empty() => {
            frame.render_widget(table(&READERS, each, below.width, |_| Style::new()), below);
        }
        Some(_) => frame.render_widget(Paragraph::new("nobody reads it"), below),
        None => {
            let text = "its producer is older, and tells nothing of its consumers";
            frame.render_widget(Paragraph::new(text), below);
        }
    }
}

/// A stream in words, stage by stage.
fn about(row: &Row) -> Vec<(&'static str, String)> {
    let process = row
        .pid
        .map_or(String::new(), |pid| format!(", process {pid}"));
    let memory = row
        .rung
        .as_ref()
        .map(|rung| format!("{rung}, {}", meaning(rung)));
    let held = row
        .each
        .iter()
        .flatten()
        .map(|one| one.slots)
        .max()
        .unwrap_or(0);
    let slots = row
        .slots
        .filter(|slots| *slots > 0)
        .map(|slots| format!("{slots}, of which the slowest consumer has {held}"));
    let rate = row
        .rate
        .map_or("-".to_owned(), |rate| format!("{} a second", tenths(rate)));
    let drops = row
        .drops
        .filter(|drops| *drops > 0.0)
        .map_or(String::new(), |drops| {
            format!(", {} of them dropped", tenths(drops))
        });
    let memory = or_dash(memory.or(row.memory.map(str::to_owned)));
    vec![
        ("stream", row.name.clone()),
        (
            "state",
            format!(
                "{}; here for {}",
                row.state,
                age(Duration::from_secs_f64(row.age_seconds))
            ),
        ),
        ("producer", format!("{}{process}", row.device)),
        (
            "frames",
            format!(
                "{}x{}, {}, {}",
                row.width,
                row.height,
                or_dash(row.format.clone()),
                or_dash(row.modifier.clone())
            ),
        ),
        ("memory", memory),
        ("slots", or_dash(slots)),
        ("rate", format!("{rate}{drops}; {} until now", row.frames)),
        ("latency", or_dash(row.latency_ms.map(milliseconds))),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::super::rows::tests::found;
    use super::*;

    fn view() -> View {
        let mut view = View::new(Path::new("/run/user/1000/lucarne"));
        let look = |age, frames| {
            let mut camera = found("camera", age, frames);
            camera.description.producer = "CPU (host memory)".to_owned();
            camera.description.path = Some(lucarne::MemoryPath::HostMemory);
            let mut old = found("old-program", age, frames / 2);
            old.details = None;
            vec![camera, old, found("stage.left", age, frames)]
        };
        view.see(look(41.0, 100));
        view.see(look(42.0, 160));
        view
    }

    fn drawn(view: &View, width: u16, height: u16) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("no terminal");
        terminal.draw(|frame| draw(frame, view)).expect("drawn");
        terminal.backend().clone()
    }

    fn press(view: &mut View, code: KeyCode) {
        view.press(KeyEvent::new(code, KeyModifiers::NONE));
    }

    #[test]
    fn a_wide_terminal_has_all_columns() {
        insta::assert_snapshot!(drawn(&view(), 120, 7));
    }

    #[test]
    fn a_narrow_one_has_the_most_important() {
        insta::assert_snapshot!(drawn(&view(), 48, 7));
        insta::assert_snapshot!(drawn(&view(), 9, 6));
    }

    #[test]
    fn without_streams_it_says_how_to_make_one() {
        let mut view = View::new(Path::new("/run/user/1000/lucarne"));
        let first = format!("{}", drawn(&view, 40, 5));
        assert!(first.contains("looking for streams"), "{first}");
        view.see(Vec::new());
        insta::assert_snapshot!(drawn(&view, 48, 6));
    }

    #[test]
    fn details_tell_each_stage_and_consumer() {
        let mut view = view();
        press(&mut view, KeyCode::End);
        press(&mut view, KeyCode::Enter);
        insta::assert_snapshot!(drawn(&view, 100, 14));
        view.see(Vec::new());
        let gone = format!("{}", drawn(&view, 60, 5));
        assert!(gone.contains("the stream \"stage.left\" is gone"), "{gone}");
    }

    #[test]
    fn details_of_an_older_program_say_what_is_missing() {
        let mut view = view();
        press(&mut view, KeyCode::Down);
        press(&mut view, KeyCode::Enter);
        insta::assert_snapshot!(drawn(&view, 70, 13));
    }

    #[test]
    fn help_is_there() {
        let mut view = view();
        press(&mut view, KeyCode::Char('?'));
        insta::assert_snapshot!(drawn(&view, 70, 20));
    }

    #[test]
    fn no_size_is_too_small() {
        let mut view = view();
        for page in [KeyCode::Esc, KeyCode::Enter, KeyCode::Char('?')] {
            press(&mut view, page);
            for (width, height) in
                (0..30).flat_map(|width| (0..16).map(move |height| (width, height)))
            {
                drawn(&view, width, height);
            }
        }
    }

    #[test]
    fn what_is_cut_off_has_a_mark() {
        assert_eq!(shorten("camera", 6), "camera");
        assert_eq!(shorten("camera", 4), "cam…");
        assert_eq!(shorten("camera", 1), "…");
        assert_eq!(shorten("camera", 0), "");
        assert_eq!(shorten("日本", 3), "日…");
    }
}
