//! System V: segments with numbers, which live until somebody removes them.

#![expect(
    unsafe_code,
    reason = "no crate wraps shmget and shmat; these five calls are all there is to it"
)]

use crate::child;
use crate::report::Check;
use lucarne_examples::card;
use lucarne_examples::stream::Result;
use std::ffi::c_int;
use std::io;

/// A segment that is attached here.
struct Segment {
    id: c_int,
    address: *mut u8,
    bytes: usize,
}

impl Segment {
    /// Makes a segment for this user.
    fn create(bytes: usize) -> Result<Self> {
        // SAFETY: shmget(2) takes no pointers.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, bytes, libc::IPC_CREAT | 0o600) };
        if id < 0 {
            return Err(format!("shmget: {}", io::Error::last_os_error()).into());
        }
        Self::attach(id)
    }

    fn attach(id: c_int) -> Result<Self> {
        let bytes = stat(id)?.shm_segsz;
        // SAFETY: shmat(2) with a null address and without SHM_REMAP replaces no mapping.
        let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        // What it answers instead of an address on failure is all ones.
        if address.addr() == usize::MAX {
            return Err(format!("shmat: {}", io::Error::last_os_error()).into());
        }
        let address = address.cast();
        Ok(Self { id, address, bytes })
    }

    fn copy_in(&mut self, source: &[u8]) {
        assert!(source.len() <= self.bytes);
        // SAFETY: both are valid for that length: a segment never changes its size, and it was attached for writing. A slice does
        // not overlap it, as no reference to it is ever made.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), self.address, source.len()) };
    }

    fn copy_out(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.bytes];
        // SAFETY: as in `copy_in`, the other way round.
        unsafe { std::ptr::copy_nonoverlapping(self.address, bytes.as_mut_ptr(), self.bytes) };
        bytes
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: shmdt(2) of the address that shmat gave, once.
        let _ = unsafe { libc::shmdt(self.address.cast_const().cast()) };
    }
}

fn stat(id: c_int) -> io::Result<libc::shmid_ds> {
    let mut about = std::mem::MaybeUninit::<libc::shmid_ds>::uninit();
    // SAFETY: shmctl(2) with IPC_STAT writes one shmid_ds to where there is room for one.
    let result = unsafe { libc::shmctl(id, libc::IPC_STAT, about.as_mut_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it was written.
    Ok(unsafe { about.assume_init() })
}

fn remove(id: c_int) -> io::Result<()> {
    // SAFETY: shmctl(2) with IPC_RMID does not use the pointer.
    let result = unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Removes the segment also where a check fails: nobody else would.
struct Removed(c_int);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = remove(self.0);
    }
}

/// What is in a segment.
pub(crate) fn read(id: c_int) -> Result<Vec<u8>> {
    Ok(Segment::attach(id)?.copy_out())
}

pub(crate) fn checks() -> Result<Vec<Check>> {
    let bytes = card::draw(crate::EXTENT);
    let mut segment = Segment::create(bytes.len())?;
    let id = segment.id;
    let _removed = Removed(id);
    segment.copy_in(&bytes);
    let seen = child::ask("sysv", id)?;
    drop(segment);
    let attached = stat(id).map(|about| about.shm_nattch);
    let stays = match attached {
        Ok(count) => format!("there, attached {count} times"),
        Err(error) => error.to_string(),
    };
    remove(id)?;
    let gone = match stat(id) {
        Ok(_) => "there".to_owned(),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => "EINVAL".to_owned(),
        Err(error) => error.to_string(),
    };
    Ok(vec![
        Check::new(
            "sysv:shared",
            "a child that knows the number sees the picture",
            "shmat in a child",
            (seen, "the same picture"),
        ),
        Check::new(
            "sysv:stays",
            "it stays when nobody uses it any more",
            "IPC_STAT after the last shmdt",
            (stays, "there, attached 0 times"),
        ),
        Check::new(
            "sysv:removed",
            "somebody must remove it",
            "IPC_STAT after IPC_RMID",
            (gone, "EINVAL"),
        ),
    ])
}
