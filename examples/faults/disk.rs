//! Postgres' disk: a small file system of its own, in mounts that only this process sees and that end with it. Where mounting is not
//! permitted, a limit on the size of files makes Postgres' writes fail instead.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::signal;
use crate::stores::copy_folder;

/// Holds the history of a few hundred rounds.
const SIZE: &str = "size=1200m,mode=0700";
const BALLAST: &str = "ballast";
/// Postgres' files are larger, or soon will be.
const LARGEST_FILE: u64 = 256 * 1024;

pub enum Disk {
    Mounted { folder: PathBuf },
    Limited,
}

impl Disk {
    /// Makes the folder a small disk if that is permitted. Call it before there are other threads.
    pub fn prepare(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let none: *const libc::c_char = c"none".as_ptr();
        let path = CString::new(folder.as_os_str().as_bytes()).unwrap();
        let size = CString::new(SIZE).unwrap();
        // SAFETY: all pointers are of strings that live until the calls return; no other thread runs yet.
        let mounted = unsafe {
            libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
                    == 0
                && libc::mount(none, path.as_ptr(), c"tmpfs".as_ptr(), 0, size.as_ptr().cast()) == 0
        };
        if mounted { Self::Mounted { folder: folder.to_owned() } } else { Self::Limited }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mounted { .. } => "a small file system that is filled",
            Self::Limited => "a limit on the size of Postgres' files (mounting is not permitted)",
        }
    }

    /// No byte more.
    pub fn fill(&self, postgres: Option<u32>) {
        match self {
            Self::Mounted { folder } => {
                let mut file = File::create(folder.join(BALLAST)).unwrap();
                let piece = vec![0; 1024 * 1024];
                while file.write_all(&piece).is_ok() {}
                while file.write_all(&piece[..4096]).is_ok() {}
            }
            Self::Limited => postgres.into_iter().for_each(|it| limit_files(it, LARGEST_FILE)),
        }
    }

    /// Room again.
    pub fn free(&self, postgres: Option<u32>) {
        match self {
            Self::Mounted { folder } => drop(fs::remove_file(folder.join(BALLAST))),
            Self::Limited => postgres.into_iter().for_each(|it| limit_files(it, libc::RLIM_INFINITY)),
        }
    }

    /// The disk goes, when Postgres has ended; what is on it is kept beside it if somebody will look.
    pub fn end(&self, held: bool) {
        let Self::Mounted { folder } = self else { return };
        if !held {
            copy_folder(folder, &folder.with_extension("kept"));
        }
        let path = CString::new(folder.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path lives until the call returns; the mount is ours.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

/// The soft limit of a process and its children.
fn limit_files(pid: u32, largest: u64) {
    let limit = libc::rlimit { rlim_cur: largest, rlim_max: libc::RLIM_INFINITY };
    for it in std::iter::once(pid).chain(signal::children(pid)) {
        // SAFETY: the limit lives until the call returns, and the old one is not asked for.
        let done =
            unsafe { libc::prlimit(it as libc::pid_t, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
        if done != 0 {
            println!("  process {it} was not limited: {}", std::io::Error::last_os_error());
        }
    }
}
