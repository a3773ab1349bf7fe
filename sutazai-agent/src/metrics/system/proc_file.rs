//! File under `/proc` that is opened once and read from its start each time.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;

use sutazai_core::{Error, Result};

use super::super::missing::unreadable;

/// File whose content the kernel generates on each read from its start.
#[derive(Debug)]
pub(super) struct ProcFile {
    path: PathBuf,
    file: Option<File>,
    content: Vec<u8>,
}

impl ProcFile {
    /// Creates the file without opening it; the first read does.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, file: None, content: Vec::new() }
    }

    /// Reads the current content.
    ///
    /// # Errors
    /// `Unavailable` naming the file, which is then reopened by the next read.
    pub(super) fn read(&mut self) -> Result<Cow<'_, str>> {
        match self.read_again() {
            Ok(()) => Ok(String::from_utf8_lossy(&self.content)),
            Err(e) => {
                self.file = None;
                Err(Error::unavailable(unreadable(&self.path, &e)))
            }
        }
    }

    /// Reads the current content of a file that a kernel without a feature does not have; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`ProcFile::read`].
    pub(super) fn read_if_exists(&mut self) -> Result<Option<Cow<'_, str>>> {
        if self.file.is_none() && !self.path.exists() {
            return Ok(None);
        }
        self.read().map(Some)
    }

    fn read_again(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => {
                file.rewind()?;
                file
            }
            none => none.insert(File::open(&self.path)?),
        };
        self.content.clear();
        file.read_to_end(&mut self.content)?;
        Ok(())
    }
}
