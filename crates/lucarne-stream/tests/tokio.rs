//! Both ends as tasks of one thread: whoever blocks instead of waiting stops the other, too.

use std::time::Duration;

use lucarne_stream::tokio::{AsyncConsumer, AsyncProducer};
use lucarne_stream::{Delivery, Error, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

const FRAMES: u32 = 200;

#[tokio::test]
async fn every_frame_arrives_while_both_ends_sleep_in_between() {
    let folder = tempfile::tempdir().expect("a folder");
    // Two slots: the producer has to wait for the consumer again and again.
    let producer = producer(folder.path(), ProducerOptions::new(EXTENT).slots(2));
    let mut producer = AsyncProducer::new(producer).expect("watched");
    let consumer = consumer(folder.path(), Delivery::Every);
    let mut consumer = AsyncConsumer::new(consumer).expect("watched");

    let produce = async {
        for number in 1..=FRAMES {
            let slot = producer.acquire().await.expect("a slot");
            let image = slot.image();
            let pixels = number.to_le_bytes().repeat(image.row_bytes(0) / 4);
            let written = image.write(slot.gate(), SOON, |rows| {
                (0..image.rows(0)).try_for_each(|row| rows.write_row(0, row, &pixels))
            });
            let sent = producer.get_mut();
            sent.send(slot, written.expect("written"), lucarne_stream::now())
                .expect("sent");
            if number % 10 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        producer.into_inner().end();
    };
    let consume = async {
        for expected in 1..=FRAMES {
            let received = consumer.receive().await.expect("a frame");
            if expected % 7 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(finish(received), expected);
        }
        let error = consumer.receive().await.expect_err("no more");
        assert!(matches!(error, Error::Ended), "{error}");
    };
    let both = async { tokio::join!(produce, consume) };
    tokio::time::timeout(SOON, both)
        .await
        .expect("nobody waits for what has come already");
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ours = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut theirs = consumer(folder.path(), Delivery::Every);
    join(&mut ours, &mut theirs);
    let mut theirs = AsyncConsumer::new(theirs).expect("watched");
    let soon = Duration::from_millis(5);
    let early = tokio::time::timeout(soon, theirs.receive()).await;
    assert!(early.is_err(), "there is nothing yet");
    send(&mut ours, 1);
    let received = tokio::time::timeout(SOON, theirs.receive()).await;
    let received = received.expect("it wakes").expect("a frame");
    assert_eq!(finish(received), 1);
    drop(ours);
    let lost = tokio::time::timeout(SOON, theirs.receive()).await;
    let error = lost.expect("it wakes").expect_err("the producer is gone");
    assert!(matches!(error, Error::PeerGone), "{error}");
}
