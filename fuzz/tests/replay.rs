//! Replays the committed corpora: what a fuzzer found once stays found.

use std::fs;
use std::path::Path;

use lucarne_fuzz::TARGETS;

#[test]
fn corpora_are_replayed() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, check) in TARGETS {
        let mut inputs = 0;
        for file in fs::read_dir(corpora.join(name)).expect("a corpus for each target") {
            let path = file.expect("a file").path();
            let bytes = fs::read(&path).expect("an input");
            let replayed = std::panic::catch_unwind(|| check(&bytes));
            assert!(replayed.is_ok(), "{name}: {}", path.display());
            inputs += 1;
        }
        assert!(inputs >= 4, "{name}: {inputs} inputs are no corpus");
    }
}

/// Ten thousand inputs without a fuzzer, so that an ordinary run looks at more than what is already known.
#[test]
fn pseudorandom_bytes() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = [0_u8; 512];
    for round in 0..10_000_usize {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64 (Steele, Lea and Flood, 2014).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        for (name, check) in TARGETS {
            // Sockets and memory take a thousand times as long as the others.
            if *name != "session" || round % 50 == 0 {
                check(&bytes[..(round * 7) % bytes.len()]);
            }
        }
    }
}
