//! Load of known size: `fixtures/load.c`, compiled once, in processes that end with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Returns the static binary of `fixtures/load.c`.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (made, program) =
            (folder.path().join("load"), Path::new(env!("CARGO_TARGET_TMPDIR")).join("load"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/load.c");
        let compiled = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&made).arg(source).status();
        assert!(
            compiled.is_ok_and(|status| status.success()),
            "{source} cannot be compiled: scripts/install.sh test installs a C compiler"
        );
        // Moved into place atomically, since another test process may be about to run the existing one.
        std::fs::rename(&made, &program).unwrap();
        program
    })
}

/// Process of this test, killed on drop.
pub(crate) struct Load(Child);

impl Load {
    /// Starts the load program with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(Command::new(program()).args(arguments))
    }

    /// Starts any program as a load.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
