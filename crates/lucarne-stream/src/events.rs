//! What happened, until the program asks.

use std::collections::VecDeque;

/// Events that wait to be asked for.
const MAX_EVENTS: usize = 256;

/// The queue. A program need not read it: when it is full, the oldest events are dropped.
#[derive(Debug)]
pub(crate) struct Events<E> {
    waiting: VecDeque<E>,
}

impl<E> Events<E> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn report(&mut self, event: E) {
        if self.waiting.len() >= MAX_EVENTS {
            self.waiting.pop_front();
        }
        self.waiting.push_back(event);
    }

    pub(crate) fn next(&mut self) -> Option<E> {
        self.waiting.pop_front()
    }
}
