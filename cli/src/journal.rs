//! A journal: a file that a run appends to, so that the next run of the same command goes on where this one ended.
//!
//! One JSON object per line. The first says what the journal is of. Lines that must be on the disk before something
//! happens are waited for; those that come while the disk is busy share the next write (group commit). A last line
//! without its end was cut by a crash, and stands for nothing that had begun.
//!
//! The file is locked as long as a run has it open; the operating system lets go of the lock when the run dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::sync::oneshot;
use weir_errands::sync::NotKept;

/// What a journal tells.
pub(crate) trait Story {
    /// The first line of a new one.
    fn head(&self) -> Vec<u8>;

    /// Whether the first line that is there is of the same thing.
    ///
    /// # Errors
    /// It is not; why.
    fn check(&mut self, first: &[u8]) -> anyhow::Result<()>;

    /// Takes in one more line.
    ///
    /// # Errors
    /// It is none of ours.
    fn take(&mut self, line: &[u8]) -> anyhow::Result<()>;

    /// Called when all is read. `true`: what is there is over, and a new one begins in its place.
    fn begins_anew(&mut self) -> bool {
        false
    }
}

/// The journal of a run.
pub(crate) struct Journal {
    entries: mpsc::Sender<Entry>,
    writer: JoinHandle<std::io::Result<()>>,
}

struct Entry {
    line: Vec<u8>,
    /// Told when the line is on the disk.
    kept: Option<oneshot::Sender<()>>,
}

/// The journal takes no more: [`Journal::close`] says why.
#[derive(Debug)]
pub(crate) struct Broken;

impl From<Broken> for NotKept {
    fn from(_: Broken) -> Self {
        Self("the journal takes no more".to_owned())
    }
}

impl Journal {
    /// Opens or begins a journal, and tells what it has.
    ///
    /// # Errors
    /// Another run has it, it is of something else, or it cannot be read or written.
    pub(crate) fn open(path: &Path, story: &mut impl Story) -> anyhow::Result<Self> {
        let told = || format!("the journal {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(told)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}: another run is at work", told()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(told),
        }
        take_up(&mut file, story).with_context(told)?;
        // A new file is there after a power cut only if its folder is on the disk too.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        #[cfg(unix)]
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .with_context(told)?;
        #[cfg(not(unix))]
        let _ = folder;
        let (entries, queue) = mpsc::channel();
        let writer = std::thread::spawn(move || write(&mut file, &queue));
        Ok(Self { entries, writer })
    }

    /// Adds a line, and waits until it is on the disk.
    pub(crate) async fn keep(&self, line: &impl Serialize) -> Result<(), Broken> {
        let (kept, on_disk) = oneshot::channel();
        self.put(line, Some(kept))?;
        on_disk.await.map_err(|_| Broken)
    }

    /// Adds a line that may be lost in a crash.
    pub(crate) fn note(&self, line: &impl Serialize) -> Result<(), Broken> {
        self.put(line, None)
    }

    fn put(&self, line: &impl Serialize, kept: Option<oneshot::Sender<()>>) -> Result<(), Broken> {
        let line = encode(line);
        let entry = Entry { line, kept };
        self.entries.send(entry).map_err(|_| Broken)
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// The disk is full, or broken.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        drop(self.entries);
        let written = self.writer.join();
        let written = written.unwrap_or_else(|_| Err(std::io::Error::other("the writer failed")));
        written.context("the journal cannot be written; what it has is right")
    }
}

/// A line, with its end.
pub(crate) fn encode(line: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(line).expect("texts and numbers are JSON");
    line.push(b'\n');
    line
}

/// Appends what comes until nobody is left to send, everything that waits at a time in one write.
fn write(file: &mut File, queue: &mpsc::Receiver<Entry>) -> std::io::Result<()> {
    let mut lines = Vec::new();
    let mut waiting = Vec::new();
    while let Ok(first) = queue.recv() {
        for entry in std::iter::once(first).chain(queue.try_iter()) {
            lines.extend(entry.line);
            waiting.extend(entry.kept);
        }
        file.write_all(&lines)?;
        lines.clear();
        if !waiting.is_empty() {
            file.sync_data()?;
            for kept in waiting.drain(..) {
                // Who asked may be gone.
                let _ = kept.send(());
            }
        }
    }
    file.sync_data()
}

/// Reads what there is, cuts a torn end off, and writes the first line of a new file.
fn take_up(file: &mut File, story: &mut impl Story) -> anyhow::Result<()> {
    let mut whole_bytes = 0;
    let mut reader = BufReader::new(&*file);
    let mut bytes = Vec::new();
    for number in 1_u64.. {
        bytes.clear();
        let length = reader.read_until(b'\n', &mut bytes)?;
        if bytes.last() != Some(&b'\n') {
            break;
        }
        whole_bytes += length as u64;
        if number == 1 {
            story.check(&bytes)?;
        } else {
            let damaged = || format!("line {number} is damaged");
            story.take(&bytes).with_context(damaged)?;
        }
    }
    drop(reader);
    if story.begins_anew() {
        whole_bytes = 0;
    }
    file.set_len(whole_bytes)?;
    file.seek(SeekFrom::End(0))?;
    if whole_bytes == 0 {
        file.write_all(&story.head())?;
    }
    file.sync_all()?;
    Ok(())
}

/// Reads a journal of this text, without the lock and the writer; the text it has then.
#[cfg(test)]
pub(crate) fn read(text: &str, story: &mut impl Story) -> anyhow::Result<String> {
    let path = std::env::temp_dir().join(format!("weir-journal-{}", fastrand::u64(..)));
    std::fs::write(&path, text).unwrap();
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).open(&path).unwrap();
    let result = take_up(&mut file, story);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    result.map(|()| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of one letter; `!` is the last of a story.
    #[derive(Default)]
    struct Letters(String);

    impl Story for Letters {
        fn head(&self) -> Vec<u8> {
            encode(&"letters")
        }

        fn check(&mut self, first: &[u8]) -> anyhow::Result<()> {
            anyhow::ensure!(first == self.head(), "something else");
            Ok(())
        }

        fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
            self.0.push(serde_json::from_slice(line)?);
            Ok(())
        }

        fn begins_anew(&mut self) -> bool {
            let over = self.0.ends_with('!');
            if over {
                self.0.clear();
            }
            over
        }
    }

    #[test]
    fn what_a_crash_cut_off_is_dropped_wherever_it_was_cut() {
        let whole = "\"letters\"\n\"a\"\n\"b\"\n";
        for end in 0..=whole.len() {
            let mut letters = Letters::default();
            let text = read(&whole[..end], &mut letters).unwrap();
            let kept = whole[..end].rfind('\n').map_or(10, |at| at + 1);
            assert_eq!(text, &whole[..kept], "{end}");
            assert_eq!(letters.0.len(), kept / 4 - 2);
        }
    }

    #[test]
    fn a_journal_of_something_else_is_not_touched() {
        let error = |text: &str| {
            let error = read(text, &mut Letters::default()).unwrap_err();
            error.to_string()
        };
        assert_eq!(error("\"numbers\"\n\"a\"\n"), "something else");
        assert_eq!(error("\"letters\"\n\"a\"\n7\n"), "line 3 is damaged");
    }

    #[test]
    fn a_story_that_is_over_makes_room_for_the_next() {
        let mut letters = Letters::default();
        let text = read("\"letters\"\n\"a\"\n\"!\"\n", &mut letters).unwrap();
        assert_eq!((text.as_str(), letters.0.as_str()), ("\"letters\"\n", ""));
    }
}
