//! Deleted files that processes still have open: their space is not freed, and no folder shows it.
//!
//! The links under `/proc/<pid>/fd` then end with ` (deleted)` (proc_pid_fd(5)). Files of other users' processes are
//! visible to root only.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sutazai_core::domain::{DeletedFiles, DiskMetrics};

use super::mounts::{self, Mount};

/// Time limit for the search; processes that it does not reach are left out.
const SEARCH_TIMEOUT: Duration = Duration::from_millis(500);
/// Unit of `st_blocks` in bytes, whatever the file system uses (stat(2)).
const BLOCK: u64 = 512;

/// Space held on one file system.
#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    process_bytes: BTreeMap<u32, u64>,
    files: u64,
}

/// Adds to each disk the space that deleted files hold on it; `names` has the numbers and names of the processes.
pub(super) fn add(proc: &Path, disks: &mut [DiskMetrics], all: &[Mount], names: &[(u32, String)]) {
    let until = Instant::now() + SEARCH_TIMEOUT;
    let listed: HashMap<&str, usize> = disks
        .iter()
        .enumerate()
        .filter_map(|(at, disk)| Some((all.iter().find(|mount| mount.point == disk.mount)?.key(), at)))
        .collect();
    let mut held: BTreeMap<usize, Held> = BTreeMap::new();
    let (mut seen, mut tables) = (HashSet::new(), HashMap::new());
    for (pid, _) in names {
        if Instant::now() > until {
            break;
        }
        let process = proc.join(pid.to_string());
        for file in fs::read_dir(process.join("fd")).into_iter().flatten().flatten() {
            let deleted = fs::read_link(file.path()).ok().filter(|link| is_deleted(link));
            let Some(number) = deleted.and_then(|_| file.file_name().into_string().ok()) else { continue };
            let Some(key) = key_of(&process, &number, all, &mut tables) else { continue };
            let Some(at) = listed.get(key.as_str()).copied() else { continue };
            // Only now is the file itself queried: its file system is one that has responded.
            let Ok(found) = fs::metadata(file.path()) else { continue };
            // A file may have this suffix in its name and still exist.
            if !found.is_file() || found.nlink() > 0 || !seen.insert((found.dev(), found.ino())) {
                continue;
            }
            let bytes = found.blocks().saturating_mul(BLOCK);
            let held = held.entry(at).or_default();
            held.bytes = held.bytes.saturating_add(bytes);
            held.files += 1;
            *held.process_bytes.entry(*pid).or_default() += bytes;
        }
    }
    for (at, held) in held {
        let most = held.process_bytes.iter().max_by_key(|(_, bytes)| **bytes);
        let Some((pid, process_bytes)) = most.filter(|_| held.bytes > 0) else { continue };
        let name = names.iter().find(|(other, _)| other == pid).map_or("", |(_, name)| name.as_str());
        disks[at].deleted_files = Some(DeletedFiles {
            bytes: held.bytes,
            files: held.files,
            pid: *pid,
            process: name.to_owned(),
            process_bytes: *process_bytes,
        });
    }
}

fn is_deleted(link: &Path) -> bool {
    let link = link.to_string_lossy();
    link.starts_with('/') && link.ends_with(" (deleted)")
}

/// Returns the key of the file system that an open file is on, as [`Mount::key`]; for an overlay, of the one that it
/// writes to. `tables` caches the mounts of each mount namespace.
fn key_of(
    process: &Path,
    number: &str,
    all: &[Mount],
    tables: &mut HashMap<String, Vec<Mount>>,
) -> Option<String> {
    let info = fs::read_to_string(process.join("fdinfo").join(number)).ok()?;
    let id: u64 = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()?;
    let namespace = fs::read_link(process.join("ns/mnt")).ok()?.to_string_lossy().into_owned();
    let table = tables.entry(namespace).or_insert_with(|| {
        let text = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        mounts::parse(&text)
    });
    let mount = table.iter().find(|mount| mount.id == id)?;
    match mount.upper_folder() {
        Some(upper) if mount.point != "/" || !all.iter().any(|other| other.id == id) => {
            mounts::of_path(&upper, all).map(|mount| mount.key().to_owned())
        }
        _ => Some(mount.key().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::super::missing::Missing;
    use super::super::disks::Disks;
    use super::*;

    #[test]
    fn deleted_file_of_this_process_is_found_once_with_its_size() {
        let proc = Path::new("/proc");
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("log");
        let mut file = fs::File::create(&path).unwrap();
        file.write_all(&vec![7; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        let _again = file.try_clone().unwrap();
        let all = mounts::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap());
        let me = std::process::id();
        let held = || {
            let mut disks = Disks::default().measure(&all, &mut Missing::default()).0;
            add(proc, &mut disks, &all, &[(me, "me".to_owned())]);
            let on = disks.iter().filter(|disk| path.starts_with(&disk.mount));
            on.max_by_key(|disk| disk.mount.len()).and_then(|disk| disk.deleted_files.clone())
        };
        // Other tests of this process may hold deleted files as well.
        let before = held().map_or(0, |held| held.files);
        fs::remove_file(&path).unwrap();
        let after = held().unwrap();
        assert!(after.bytes >= 3 << 20 && after.files > before, "{before} {after:?}");
        assert_eq!((after.pid, &*after.process, after.process_bytes), (me, "me", after.bytes));
    }

    #[test]
    fn only_paths_with_the_suffix_are_deleted() {
        for (link, expected) in [
            ("/var/log/a (deleted)", true),
            ("/var/log/a", false),
            ("socket:[5]", false),
            ("memfd:x (deleted)", false),
        ] {
            assert_eq!(is_deleted(Path::new(link)), expected, "{link}");
        }
    }
}
