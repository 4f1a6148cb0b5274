//! Reading a code field by field without losing a bit.

use std::fmt;
use std::fmt::Write as _;

/// The vendor's 56 bits, and the words found for them so far.
///
/// Every bit that a decoder looks at is marked; [`finish`](Self::finish) names those that are set and were
/// never looked at, so that a code with news in it cannot pass for an old one.
pub(super) struct Fields {
    value: u64,
    read: u64,
    text: String,
}

impl Fields {
    pub(super) fn new(value: u64) -> Self {
        Self {
            value,
            read: 0,
            text: String::new(),
        }
    }

    /// Reads `bits` bits from `shift` up.
    pub(super) fn take(&mut self, shift: u32, bits: u32) -> u64 {
        let mask = (1 << bits) - 1;
        self.read |= mask << shift;
        self.value >> shift & mask
    }

    /// Whether a bit is set, without marking it as read.
    pub(super) fn peek(&self, bit: u32) -> bool {
        self.value >> bit & 1 == 1
    }

    /// Adds words.
    pub(super) fn say(&mut self, words: impl fmt::Display) {
        let comma = if self.text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{comma}{words}");
    }

    /// Reads one bit; says `words` when it is set.
    pub(super) fn flag(&mut self, bit: u32, words: &str) {
        if self.take(bit, 1) == 1 {
            self.say(words);
        }
    }

    /// Reads a number; says it after `words` when it is not 0.
    pub(super) fn number(&mut self, shift: u32, bits: u32, words: &str) {
        match self.take(shift, bits) {
            0 => {}
            number => self.say(format_args!("{words} {number}")),
        }
    }

    /// Reads a number out of a list; one that has no name there is said as `words` and the number.
    pub(super) fn choice(&mut self, shift: u32, bits: u32, names: &[(u64, &str)], words: &str) {
        let number = self.take(shift, bits);
        match names.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => self.say(name),
            None => self.say(format_args!("unknown {words} {number:#x}")),
        }
    }

    /// The words, with the bits that nobody read.
    pub(super) fn finish(mut self) -> String {
        let left = self.value & !self.read;
        if self.text.is_empty() {
            self.say("unknown layout");
        } else if left != 0 {
            self.say(format_args!("unknown bits {left:#x}"));
        }
        self.text
    }
}
