//! Words in memory that another process reads and writes at the same time.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use super::mapping::Mapping;
use super::memfd::Memfd;
use crate::error::{Error, Result};

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// A whole [`Memfd`] of `N` words, mapped shared: 64 bits each, which are only ever touched atomically.
///
/// How many there are is checked once, when it is mapped; a number that the program knows needs no check then.
///
/// It never gives out a slice or a reference to a plain number: another process may change any word at any time. Load a
/// word once, then check the copy.
#[derive(Debug)]
pub struct SharedWords<const N: usize> {
    mapping: Mapping,
}

impl<const N: usize> SharedWords<N> {
    /// Maps all of `memory`, for reading and writing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for memory of another size; [`Error::Os`] when the address space does not
    /// have the room, or the memfd is sealed against writing.
    pub fn new(memory: &Memfd) -> Result<Self> {
        let mapping = Mapping::new(memory)?;
        let bytes = mapping.len();
        if bytes != N * WORD {
            let limit = format!("{N} words of {WORD} bytes");
            return Err(Error::invalid("shared memory size", bytes, limit));
        }
        Ok(Self { mapping })
    }

    /// The word at `index`, counted from 0.
    ///
    /// # Panics
    ///
    /// When there are not that many words: as with a slice, an index is the program's own, never a peer's.
    #[inline]
    pub fn word(&self, index: usize) -> &AtomicU64 {
        let word = self.address(index);
        // SAFETY: AtomicU64::from_ptr wants
        // - alignment: mmap(2) returns whole pages, and this is a whole number of words further;
        // - validity for reads and writes: `Mapping::new` maps for both, the memfd cannot shrink (F_SEAL_SHRINK, checked
        //   by `Memfd`), and the reference does not outlive `self.mapping`;
        // - no other than atomic access meanwhile: the mapping is private to this value, which only gives out this type,
        //   and what other processes do is no access of this program.
        unsafe { AtomicU64::from_ptr(word.as_ptr()) }
    }

    /// Blocks while the word at `index` is `expected`, until [`SharedWords::wake`] is called or `timeout` is over
    /// (`FUTEX_WAIT`). Returns false when the time is over, and true otherwise: when it was woken, when the word has another
    /// value, or when a signal arrived.
    ///
    /// Only the word's lower half is compared. Whoever changes the word must call `wake`, or this sleeps until the time is
    /// over.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] where the kernel has no futexes for this process.
    ///
    /// # Panics
    ///
    /// As for [`SharedWords::word`].
    #[inline]
    pub fn sleep(&self, index: usize, expected: u32, timeout: Duration) -> Result<bool> {
        // A time beyond the kernel's is none.
        let limit = futex::Timespec::try_from(timeout).ok();
        let flags = futex::Flags::empty();
        match futex::wait(self.lower_half(index), flags, expected, limit.as_ref()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(Errno::TIMEDOUT) => Ok(false),
            Err(errno) => Err(Error::os("futex (FUTEX_WAIT)", errno)),
        }
    }

    /// Wakes one thread that sleeps at the word at `index` (`FUTEX_WAKE`), in any process: the one that has slept for longest.
    /// Change the word before. Does not block, however many sleep there.
    ///
    /// # Panics
    ///
    /// As for [`SharedWords::word`].
    #[inline]
    pub fn wake(&self, index: usize) {
        // It fails for nothing but an address that is none.
        let _woken = futex::wake(self.lower_half(index), futex::Flags::empty(), 1);
    }

    /// What the kernel compares of a word: for its address alone, as half a word is never read or written here.
    #[inline]
    fn lower_half(&self, index: usize) -> &AtomicU32 {
        let half = self.address(index).cast::<u32>();
        let lower = usize::from(cfg!(target_endian = "big"));
        // SAFETY: NonNull::add: a word has two halves.
        let half = unsafe { half.add(lower) };
        // SAFETY: AtomicU32::from_ptr: aligned, valid and shared as in `word`; nobody makes an access through it, as the
        // kernel gets its address only.
        unsafe { AtomicU32::from_ptr(half.as_ptr()) }
    }

    #[inline]
    fn address(&self, index: usize) -> NonNull<u64> {
        if index >= N {
            beyond(index, N);
        }
        let base = self.mapping.address().cast::<u64>();
        // SAFETY: NonNull::add stays within one allocation: the mapping holds `N` words (checked by `new`), and `index` is
        // one of them.
        unsafe { base.add(index) }
    }
}

#[cold]
fn beyond(index: usize, words: usize) -> ! {
    panic!("word {index} of {words}: beyond the mapping")
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;

    use super::*;

    type Page = SharedWords<512>;

    fn memory(bytes: u64) -> Memfd {
        Memfd::create("words", bytes).expect("a memfd")
    }

    #[test]
    fn two_mappings_of_one_memory_see_each_others_words() {
        let memory = memory(4096);
        let (here, there) = (Page::new(&memory), Page::new(&memory));
        let (here, there) = (here.expect("mapped"), there.expect("mapped"));
        for index in [0, 7, 511] {
            let value = 0x0123_4567_89ab_cdef + index as u64;
            here.word(index).store(value, Ordering::Release);
            assert_eq!(there.word(index).load(Ordering::Acquire), value);
            let old = there.word(index).swap(0, Ordering::AcqRel);
            assert_eq!(old, value);
            assert_eq!(here.word(index).load(Ordering::Acquire), 0);
        }
    }

    #[test]
    fn a_sleeper_is_woken_from_another_mapping() {
        let memory = memory(4096);
        let (here, there) = (Page::new(&memory), Page::new(&memory));
        let (here, there) = (here.expect("mapped"), there.expect("mapped"));
        here.word(3).store(2, Ordering::Relaxed);
        let short = Duration::from_millis(20);
        assert!(!here.sleep(3, 2, short).expect("futexes"), "nobody woke it");
        let long = Duration::from_secs(30);
        assert!(here.sleep(3, 1, long).expect("futexes"), "it is not 1");
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| here.sleep(3, 2, Duration::MAX));
            std::thread::sleep(short);
            there.word(3).store(0, Ordering::Relaxed);
            there.wake(3);
            assert!(sleeper.join().expect("no panic").expect("futexes"));
        });
    }

    #[test]
    fn words_are_in_the_byte_order_of_the_machine() {
        let memory = memory(4096);
        let words = Page::new(&memory).expect("mapped");
        words
            .word(1)
            .store(0x0807_0605_0403_0201, Ordering::Relaxed);
        let mut bytes = [0; 8];
        let bytes_there = Mapping::new(&memory).expect("mapped");
        bytes_there.copy_out(8, &mut bytes).expect("within");
        let expected = 0x0807_0605_0403_0201_u64.to_ne_bytes();
        assert_eq!(bytes, expected);
    }

    #[test]
    #[should_panic(expected = "beyond the mapping")]
    fn there_is_no_word_beyond_the_last() {
        let words = Page::new(&memory(4096)).expect("mapped");
        words.word(512);
    }

    #[test]
    fn half_a_word_is_refused() {
        let error = SharedWords::<1>::new(&memory(12)).expect_err("a word and a half");
        assert!(error.to_string().contains("1 words of 8 bytes"), "{error}");
    }

    #[test]
    fn fewer_words_than_the_program_counts_on_are_refused() {
        let error = Page::new(&memory(4096 - 8)).expect_err("a word too few");
        assert!(error.to_string().contains("512 words"), "{error}");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("sealed", flags).expect("a memfd");
        rustix::fs::ftruncate(&fd, 4096).expect("a size");
        let seals = rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&fd, seals).expect("seals");
        let memory = Memfd::new(fd.as_fd().try_clone_to_owned().expect("a descriptor"));
        let error = Page::new(&memory.expect("cannot shrink"));
        let error = error.expect_err("sealed against writing");
        assert!(error.to_string().contains("mmap"), "{error}");
    }
}
