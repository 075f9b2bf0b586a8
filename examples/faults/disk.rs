//! Postgres' disk: a small file system in a mount namespace of this process. Where mounting is not permitted, a limit on the size of files
//! makes Postgres' writes fail instead.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::signal;
use crate::stores::copy_folder;

/// Enough for a few hundred rounds.
const SIZE: &str = "size=1200m,mode=0700";
const FILLER: &str = "filler";
/// Smaller than Postgres' files are, or soon will be.
const MAX_FILE: u64 = 256 * 1024;

pub enum Disk {
    Mounted { folder: PathBuf },
    Limited,
}

impl Disk {
    /// Mounts a small file system on the folder, if permitted. Call it before there are other threads.
    pub fn prepare(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let none: *const libc::c_char = c"none".as_ptr();
        let path = CString::new(folder.as_os_str().as_bytes()).unwrap();
        let size = CString::new(SIZE).unwrap();
        // SAFETY: all pointers are of strings that live until the calls return; no other thread runs yet.
        let is_mounted = unsafe {
            libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
                    == 0
                && libc::mount(none, path.as_ptr(), c"tmpfs".as_ptr(), 0, size.as_ptr().cast()) == 0
        };
        if is_mounted { Self::Mounted { folder: folder.to_owned() } } else { Self::Limited }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mounted { .. } => "a small file system that is filled",
            Self::Limited => "a limit on the size of Postgres' files (mounting is not permitted)",
        }
    }

    /// Leaves no free byte.
    pub fn fill(&self, postgres: Option<u32>) {
        match self {
            Self::Mounted { folder } => {
                let mut file = File::create(folder.join(FILLER)).unwrap();
                let block = vec![0; 1024 * 1024];
                while file.write_all(&block).is_ok() {}
                while file.write_all(&block[..4096]).is_ok() {}
            }
            Self::Limited => postgres.into_iter().for_each(|pid| limit_files(pid, MAX_FILE)),
        }
    }

    /// Frees the space.
    pub fn free(&self, postgres: Option<u32>) {
        match self {
            Self::Mounted { folder } => drop(fs::remove_file(folder.join(FILLER))),
            Self::Limited => postgres.into_iter().for_each(|pid| limit_files(pid, libc::RLIM_INFINITY)),
        }
    }

    /// Unmounts the disk after Postgres has ended. After a failure its files are copied beside it.
    pub fn unmount(&self, is_success: bool) {
        let Self::Mounted { folder } = self else { return };
        if !is_success {
            copy_folder(folder, &folder.with_extension("kept"));
        }
        let path = CString::new(folder.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path lives until the call returns; the mount is ours.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

/// Sets the soft limit of the file size for a process and its children.
fn limit_files(pid: u32, max_bytes: u64) {
    let limit = libc::rlimit { rlim_cur: max_bytes, rlim_max: libc::RLIM_INFINITY };
    for pid in std::iter::once(pid).chain(signal::children(pid)) {
        // SAFETY: the limit lives until the call returns, and the old one is not requested.
        let done =
            unsafe { libc::prlimit(pid as libc::pid_t, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
        if done != 0 {
            println!("  process {pid} was not limited: {}", std::io::Error::last_os_error());
        }
    }
}
