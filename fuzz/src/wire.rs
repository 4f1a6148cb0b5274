//! Messages of the stream protocol, and tickets: what is decoded is within its limits, and is the same when it is encoded again.

use lucarne_stream::FrameTicket;
use lucarne_stream::wire::{
    MAX_CONSUMERS, MAX_DESCRIPTORS, MAX_ENTRIES, MAX_MESSAGE, MAX_NAME, MAX_SLOTS, MAX_TEXT,
    Malformed, Message,
};

const HEADER: usize = 16;

/// Takes the bytes as a message: as they are, and with a header that is right, so that every body is reached.
///
/// # Panics
///
/// When a message is not itself after it was encoded, or is out of its limits.
pub fn check(bytes: &[u8]) {
    let _ = whole(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        ticket(text);
    }
    let Some((kind, body)) = bytes.split_first() else {
        return;
    };
    let mut message = vec![0; HEADER];
    message[0] = kind % 18;
    message.extend_from_slice(body);
    // A length that fits nothing is refused before the body is looked at.
    message.truncate(message.len() / 8 * 8);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    message[4..8].copy_from_slice(&length.to_le_bytes());
    // How many descriptors a body has is known only after it was read; the refusal tells.
    if let Err(error) = whole(&message)
        && error.field == "descriptors"
        && let Some(count) = descriptors(&error)
    {
        message[8..12].copy_from_slice(&count.to_le_bytes());
        assert!(whole(&message).is_ok(), "{error}, and not with {count}");
    }
}

/// A ticket is refused with the field that is wrong, or comes back as it was.
fn ticket(text: &str) {
    match text.parse::<FrameTicket>() {
        Ok(ticket) => {
            assert!((1..=4).contains(&ticket.descriptors().len()), "{ticket}");
            assert!(ticket.pid() != 0 && ticket.descriptors().iter().all(|fd| *fd >= 0));
            let again: FrameTicket = ticket.to_string().parse().expect("as it was written");
            assert_eq!(again, ticket);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn descriptors(error: &Malformed) -> Option<u32> {
    error.limit.split(',').next()?.parse().ok()
}

fn whole(bytes: &[u8]) -> Result<Message, Malformed> {
    let message = Message::decode(bytes);
    match &message {
        Ok(message) => {
            let again = message.encode().expect("it was read, so it can be said");
            assert!(again.len() <= MAX_MESSAGE && again.len() % 8 == 0);
            assert_eq!(Message::decode(&again).as_ref(), Ok(message));
            // The sender's versions are for people, and not kept.
            let kept = !matches!(
                message,
                Message::Refused(_)
                    | Message::Goodbye(_)
                    | Message::Description(_)
                    | Message::Report(_)
            );
            assert!(!kept || again == bytes, "two ways to say {message:?}");
            limits(message);
        }
        Err(error) => assert!(!error.field.is_empty() && !error.to_string().is_empty()),
    }
    message
}

fn limits(message: &Message) {
    assert!(message.descriptors() <= MAX_DESCRIPTORS, "{message:?}");
    match message {
        Message::Hello(hello) => {
            assert!(hello.offer.entries.len() <= MAX_ENTRIES);
            assert!(hello.offer.name.len() <= MAX_NAME);
            assert!(1 <= hello.lowest && hello.lowest <= hello.highest);
        }
        Message::Configure(configure) => {
            assert!((1..=MAX_SLOTS).contains(&configure.slots.len()));
            assert!(configure.extent.check().is_ok());
            assert!(configure.producer.len() <= MAX_NAME);
            for slot in &configure.slots {
                let within = |plane: &lucarne::Plane| plane.object < slot.objects;
                assert!(slot.planes.iter().all(within), "{slot:?}");
            }
        }
        Message::Description(description) => assert!(description.extent.check().is_ok()),
        Message::Report(report) => {
            assert!(report.description.extent.check().is_ok());
            assert!(report.details.slots <= MAX_SLOTS);
            assert!(report.details.consumers.len() <= MAX_CONSUMERS);
        }
        Message::Refused(farewell) | Message::Goodbye(farewell) => {
            assert!(farewell.text.len() <= MAX_TEXT);
            assert!(!farewell.text.chars().any(char::is_control));
        }
        Message::ImportFailed(failed) => {
            assert!(failed.strike.reason.to_string().len() <= MAX_TEXT)
        }
        Message::Fence(of) => assert!(of.slot < MAX_SLOTS),
        _ => {}
    }
}
