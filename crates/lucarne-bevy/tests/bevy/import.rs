//! Others draw, Bevy shows.
