//! Tickets as text: what is written is read again, and nothing else.

use std::os::fd::AsFd as _;

use lucarne::{DeviceId, Extent, Format, Frame, FrameLayout, Memory, kernel::Memfd};
use lucarne_stream::{Error, FrameTicket};
use proptest::prelude::*;

fn ticket() -> (FrameTicket, Frame) {
    let (layout, size) =
        FrameLayout::linear(Extent::new(64, 48), Format::XRGB8888).expect("linear");
    let memory = Memory::HostMemory(Memfd::create("frame", size).expect("a memfd"));
    let frame = Frame::new(layout, memory, DeviceId::default()).expect("a frame");
    (FrameTicket::new(&frame).expect("a ticket"), frame)
}

#[test]
fn a_ticket_is_read_as_it_was_written() {
    let (ticket, frame) = ticket();
    let text = ticket.to_string();
    assert!(
        text.starts_with("lucarne-frame-1:") && text.is_ascii(),
        "{text}"
    );
    assert!(
        !text.contains(char::is_whitespace),
        "one word of a shell: {text}"
    );
    assert_eq!(text.parse::<FrameTicket>().expect("a ticket"), ticket);
    // As it comes out of a file, with the end of its line.
    assert_eq!(
        format!("{text}\n")
            .parse::<FrameTicket>()
            .expect("a ticket"),
        ticket
    );
    let Memory::HostMemory(memfd) = frame.memory() else {
        panic!("host memory was made");
    };
    let number = std::os::fd::AsRawFd::as_raw_fd(&memfd.as_fd());
    assert_eq!(ticket.descriptors(), [number]);
    assert_eq!(ticket.pid(), std::process::id());
    assert_eq!(ticket.frame().extent, Extent::new(64, 48));
}

#[cfg(feature = "serde")]
#[test]
fn a_ticket_is_a_string_in_json() {
    let (ticket, _frame) = ticket();
    let json = serde_json::to_string(&ticket).expect("JSON");
    assert_eq!(json, format!("\"{ticket}\""));
    let again: FrameTicket = serde_json::from_str(&json).expect("a ticket");
    assert_eq!(again, ticket);
    let error = serde_json::from_str::<FrameTicket>("\"lucarne-frame-1\"").expect_err("no ticket");
    assert!(error.to_string().contains("FD/DEVICE/INODE"), "{error}");
}

#[test]
fn what_is_no_ticket_says_which_part_is_wrong() {
    let (ticket, _frame) = ticket();
    let text = ticket.to_string();
    let parts: Vec<&str> = text.split(':').collect();
    let with = |index: usize, part: &str| {
        let mut parts = parts.clone();
        parts[index] = part;
        parts.join(":")
    };
    let twice = format!("{},{}", parts[3], parts[3]);
    let many = [parts[3]; 5].join(",");
    let (cut, odd) = (&parts[4][..100], &parts[4][1..]);
    let cases = [
        (String::new(), "ticket is"),
        ("lucarne-frame-1".to_owned(), "FD/DEVICE/INODE"),
        (with(0, "lucarne-frame-2"), "lucarne-frame-1"),
        (with(1, "0"), "process number"),
        (with(1, "-1"), "ticket's process"),
        (with(1, "2147483648"), "process number"),
        (with(2, "x"), "ticket's start"),
        (with(3, ""), "ticket's object"),
        (with(3, "5/6"), "ticket's object"),
        (with(3, "-1/1/1"), "ticket's descriptor"),
        (with(3, "99999999999/1/1"), "ticket's descriptor"),
        (with(3, &twice), "descriptors received"),
        (with(3, &many), "ticket's objects"),
        (with(4, ""), "kind"),
        (with(4, cut), "length"),
        (with(4, odd), "hexadecimal"),
        (with(4, "éé"), "hexadecimal"),
        (format!("{text}:"), "FD/DEVICE/INODE"),
        ("x".repeat(2000), "1024"),
        ("\u{1b}[2J".to_owned(), "\\u{1b}"),
    ];
    for (text, words) in cases {
        let error = text.parse::<FrameTicket>().expect_err(words);
        assert!(
            matches!(error, Error::Invalid { .. } | Error::Malformed(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

proptest! {
    #[test]
    fn a_changed_ticket_is_refused_or_a_valid_one(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..4),
    ) {
        let (ticket, _frame) = ticket();
        let mut text: Vec<char> = ticket.to_string().chars().collect();
        for (at, change) in changes {
            let at = at.index(text.len());
            text[at] = change;
        }
        let text: String = text.into_iter().collect();
        if let Ok(ticket) = text.parse::<FrameTicket>() {
            let again: FrameTicket = ticket.to_string().parse().expect("as it was written");
            prop_assert_eq!(again, ticket);
        }
    }
}
