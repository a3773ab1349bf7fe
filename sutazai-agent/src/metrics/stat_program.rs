//! Query of a file system by the program `stat` (coreutils) in a child process.
//!
//! A request to a file system whose server is gone cannot be interrupted, not even by killing the process: a thread
//! that waits for one keeps its process from ending. So a query that may hang runs in a child, which can be abandoned.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::own_thread::{Deadline, on_own_thread};

/// Paths of the program; `PATH` is not searched, because one of its folders may hang.
const PROGRAMS: [&str; 2] = ["/usr/bin/stat", "/bin/stat"];

/// Output format: block size, blocks, free blocks, blocks for ordinary users, inodes, free inodes, and the path.
const FORMAT: &str = "%S %b %f %a %c %d %n";

/// Child process with a query. Dropping it kills the child as soon as the kernel allows that.
#[derive(Debug)]
pub(super) struct StatProgram {
    child: Child,
    stdout: ChildStdout,
    began: Instant,
}

impl StatProgram {
    /// Starts a query of the space of the file systems at these paths.
    ///
    /// # Errors
    /// The operating system's error when no process can be started or the program does not exist.
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

    /// Returns the output, or `None` if the child has not ended until `until`; it can be called again later.
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
        // The child prints everything at its end, or has ended without output.
        let _ = self.stdout.read_to_end(&mut said);
        let _ = self.child.wait();
        Some(String::from_utf8_lossy(&said).into_owned())
    }

    /// Returns the time since the start of the query.
    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for StatProgram {
    fn drop(&mut self) {
        // Either the child has ended already, or the kernel delays its end.
        let _ = self.child.kill();
        let _ = self.child.try_wait();
    }
}

/// Returns whether the file system of a path responds within `limit`. If no child process can be started, it counts as
/// responding. The wait is on a dedicated thread, so that other work continues meanwhile.
pub async fn answers(path: &Path, limit: Duration) -> bool {
    let path = path.to_owned();
    let ask = move || match StatProgram::start(&[path]) {
        Ok(mut asked) => Ok(asked.answer(Instant::now() + limit).is_some()),
        Err(_) => Ok(true),
    };
    on_own_thread("folder", Deadline::after(limit), ask).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_existing_path_has_a_line() {
        let until = Instant::now() + Duration::from_secs(60);
        let mut asked = StatProgram::start(&["/", "/no/such/place", "/proc"]).unwrap();
        let said = asked.answer(until).unwrap();
        let names: Vec<_> = said.lines().filter_map(|line| line.splitn(7, ' ').nth(6)).collect();
        assert_eq!(names, ["/", "/proc"], "{said}");
        assert!(
            answers(Path::new("/no/such/place"), Duration::from_secs(60)).await,
            "that it is not there is an answer"
        );
    }
}
