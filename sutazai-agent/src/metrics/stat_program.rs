//! The program `stat` (coreutils), which asks a file system in a process of its own.
//!
//! A request to a file system whose server is gone cannot be interrupted, not even by the end of the process: a thread
//! that waits for one keeps its process from ending. So what may hang is asked by a child, which is left behind.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Where it is; `PATH` is not searched, since a folder of it may hang.
const PROGRAMS: [&str; 2] = ["/usr/bin/stat", "/bin/stat"];

/// Block size, blocks, free ones, those for ordinary users, inodes, free ones, and the path.
const FORMAT: &str = "%S %b %f %a %c %d %n";

/// A child that asks. Dropping it ends the child as soon as the kernel lets it.
#[derive(Debug)]
pub(super) struct StatProgram {
    child: Child,
    stdout: ChildStdout,
    began: Instant,
}

impl StatProgram {
    /// Begins to ask how full the file systems at these paths are.
    ///
    /// # Errors
    /// The one of the operating system when no process can be started or the program is not there.
    pub(super) fn start(paths: &[impl AsRef<OsStr>]) -> io::Result<Self> {
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for program in PROGRAMS {
            let mut command = Command::new(program);
            command.args(["-f", "-c", FORMAT]).args(paths);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            match command.spawn().map(|mut child| (child.stdout.take(), child)) {
                Ok((Some(stdout), child)) => return Ok(Self { child, stdout, began: Instant::now() }),
                Ok((None, _)) => {}
                Err(e) => failure = e,
            }
        }
        Err(failure)
    }

    /// What it prints, unless it has not ended by then. One that has not can be asked again later.
    pub(super) fn answer(&mut self, until: Instant) -> Option<String> {
        loop {
            let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok()?;
            match poll(&mut [PollFd::new(&self.stdout, PollFlags::IN)], Some(&left)) {
                Ok(0) => return None,
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        let mut said = Vec::new();
        // It prints all at its end, or ended without a word.
        let _ = self.stdout.read_to_end(&mut said);
        let _ = self.child.wait();
        Some(String::from_utf8_lossy(&said).into_owned())
    }

    /// How long ago it was started.
    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for StatProgram {
    fn drop(&mut self) {
        // It has ended, or the kernel does not let it.
        let _ = self.child.kill();
        let _ = self.child.try_wait();
    }
}

/// Whether the file system of a path answers within `limit`. One that cannot be asked in a process of its own counts as
/// answering.
pub fn answers(path: &Path, limit: Duration) -> bool {
    match StatProgram::start(&[path]) {
        Ok(mut asked) => asked.answer(Instant::now() + limit).is_some(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_is_there_has_its_line() {
        let until = Instant::now() + Duration::from_secs(60);
        let mut asked = StatProgram::start(&["/", "/no/such/place", "/proc"]).unwrap();
        let said = asked.answer(until).unwrap();
        let names: Vec<_> = said.lines().filter_map(|line| line.splitn(7, ' ').nth(6)).collect();
        assert_eq!(names, ["/", "/proc"], "{said}");
        assert!(
            answers(Path::new("/no/such/place"), Duration::from_secs(60)),
            "that it is not there is an answer"
        );
    }
}
