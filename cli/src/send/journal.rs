//! The journal of a campaign: who was about to be sent the message, and what became of it.
//!
//! One JSON object per line, appended only. The first names the campaign; `{"to","at"}` is an intent, `{"to","outcome",…}` a
//! result. An intent is on the disk before its message leaves; intents that come while the disk is busy share the next write
//! (group commit). A result need not be on the disk: an intent without one says that the message may have been sent. A last
//! line without its end was cut by a crash, and stands for nothing that had begun.
//!
//! The file is locked as long as a run has it open; the operating system lets go of the lock when the run dies.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::fate::{Fate, Outcome};

/// The format of the file.
const VERSION: u32 = 1;

/// The first line: what the journal is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Campaign {
    /// The format of the file.
    weir_send: u32,
    campaign: String,
    account: String,
    api: String,
    template_id: Option<String>,
}

impl Campaign {
    pub(super) fn new(campaign: &str, account: &str, api: &str, template_id: Option<&str>) -> Self {
        Self {
            weir_send: VERSION,
            campaign: campaign.to_owned(),
            account: account.to_owned(),
            api: api.to_owned(),
            template_id: template_id.map(str::to_owned),
        }
    }
}

#[derive(Serialize)]
struct IntentLine<'a> {
    to: &'a str,
    at: i64,
}

#[derive(Serialize)]
struct FateLine<'a> {
    to: &'a str,
    #[serde(flatten)]
    fate: &'a Fate,
}

/// Either, as it is read.
#[derive(Deserialize)]
struct Line {
    to: String,
    at: Option<i64>,
    #[serde(flatten)]
    fate: Option<Fate>,
}

/// What the journal has of somebody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// When the message that may have been sent left for the first time, Unix milliseconds.
    pub(super) first_intent_ms: Option<i64>,
    /// The last result, unless there is an intent after it.
    pub(super) fate: Option<Fate>,
}

impl Past {
    fn intend(&mut self, at_ms: i64) {
        self.first_intent_ms.get_or_insert(at_ms);
        self.fate = None;
    }

    fn settle(&mut self, fate: Fate) {
        if fate.outcome != Outcome::Unknown {
            self.first_intent_ms = None;
        }
        self.fate = Some(fate);
    }
}

/// The journal of a run.
pub(super) struct Journal {
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
pub(super) struct Broken;

impl Journal {
    /// Opens or begins a journal, and tells what it has.
    ///
    /// # Errors
    /// Another run has it, it is of another campaign, or it cannot be read or written.
    pub(super) fn open(
        path: &Path,
        campaign: &Campaign,
    ) -> anyhow::Result<(Self, HashMap<String, Past>)> {
        let told = || format!("the journal {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(told)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another run of the campaign is at work", told())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(told),
        }
        let past = take_up(&mut file, campaign).with_context(told)?;
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
        Ok((Self { entries, writer }, past))
    }

    /// Notes that somebody is about to be sent the message, and waits until that is on the disk.
    pub(super) async fn intend(&self, openid: &str, at_ms: i64) -> Result<(), Broken> {
        let (kept, on_disk) = oneshot::channel();
        let line = IntentLine {
            to: openid,
            at: at_ms,
        };
        self.put(&line, Some(kept))?;
        on_disk.await.map_err(|_| Broken)
    }

    /// Notes what became of it.
    pub(super) fn settle(&self, openid: &str, fate: &Fate) -> Result<(), Broken> {
        self.put(&FateLine { to: openid, fate }, None)
    }

    fn put(&self, line: &impl Serialize, kept: Option<oneshot::Sender<()>>) -> Result<(), Broken> {
        let entry = Entry {
            line: encode(line),
            kept,
        };
        self.entries.send(entry).map_err(|_| Broken)
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// The disk is full, or broken.
    pub(super) fn close(self) -> std::io::Result<()> {
        drop(self.entries);
        let written = self.writer.join();
        written.unwrap_or_else(|_| Err(std::io::Error::other("the writer failed")))
    }
}

fn encode(line: &impl Serialize) -> Vec<u8> {
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
fn take_up(file: &mut File, campaign: &Campaign) -> anyhow::Result<HashMap<String, Past>> {
    let mut past: HashMap<String, Past> = HashMap::new();
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
            check(&bytes, campaign)?;
            continue;
        }
        let damaged = || format!("line {number} is damaged");
        let line: Line = serde_json::from_slice(&bytes).with_context(damaged)?;
        match (line.at, line.fate) {
            (Some(at_ms), None) => past.entry(line.to).or_default().intend(at_ms),
            (None, Some(fate)) => past.entry(line.to).or_default().settle(fate),
            _ => bail!(damaged()),
        }
    }
    drop(reader);
    file.set_len(whole_bytes)?;
    file.seek(SeekFrom::End(0))?;
    if whole_bytes == 0 {
        file.write_all(&encode(campaign))?;
    }
    file.sync_all()?;
    Ok(past)
}

fn check(first: &[u8], campaign: &Campaign) -> anyhow::Result<()> {
    let Ok(found) = serde_json::from_slice::<Campaign>(first) else {
        bail!("this is no journal of `weir send`");
    };
    if found.weir_send != VERSION {
        bail!("it was written by another version of weir");
    }
    for (what, found, wanted) in [
        ("campaign", &found.campaign, &campaign.campaign),
        ("account", &found.account, &campaign.account),
        ("kind of message", &found.api, &campaign.api),
    ] {
        if found != wanted {
            bail!("it is of another {what}, {found:?}: name another --campaign or --journal");
        }
    }
    if found.template_id != campaign.template_id {
        bail!("it is of another template: name another --campaign or --journal");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        Campaign::new("spring", "demo", "template", Some("T"))
    }

    fn read(text: &str) -> anyhow::Result<(HashMap<String, Past>, String)> {
        let path = std::env::temp_dir().join(format!("weir-send-{}", fastrand::u64(..)));
        std::fs::write(&path, text).unwrap();
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .unwrap();
        let past = take_up(&mut file, &campaign());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        Ok((past?, text))
    }

    fn head() -> String {
        String::from_utf8(encode(&campaign())).unwrap()
    }

    #[test]
    fn what_a_crash_cut_off_is_dropped_wherever_it_was_cut() {
        let whole = head() + "{\"to\":\"oA\",\"at\":5}\n";
        let more = whole.clone() + "{\"to\":\"oB\",\"at\":6}\n";
        for end in whole.len()..more.len() {
            let (past, text) = read(&more[..end]).unwrap();
            assert_eq!(past.len(), 1);
            assert_eq!(text, whole);
        }
        assert_eq!(read(&more).unwrap().0.len(), 2);
        for end in 0..head().len() {
            let (past, text) = read(&head()[..end]).unwrap();
            assert!(past.is_empty());
            assert_eq!(text, head());
        }
    }

    #[test]
    fn an_intent_stands_until_it_is_known_what_became_of_it() {
        let of = |lines: &str| read(&(head() + lines)).unwrap().0.remove("oA").unwrap();
        let intent = "{\"to\":\"oA\",\"at\":5}\n{\"to\":\"oA\",\"at\":9}\n";
        assert_eq!(of(intent).first_intent_ms, Some(5));
        let unknown = "{\"to\":\"oA\",\"outcome\":\"unknown\",\"retryable\":true}\n";
        let past = of(&format!("{intent}{unknown}"));
        assert_eq!(past.first_intent_ms, Some(5));
        assert!(past.fate.is_some_and(|fate| fate.retryable));
        let refused =
            "{\"to\":\"oA\",\"outcome\":\"refused\",\"errcode\":45009,\"retryable\":true}\n";
        let past = of(&format!(
            "{intent}{unknown}{refused}{{\"to\":\"oA\",\"at\":99}}\n"
        ));
        assert_eq!(past.first_intent_ms, Some(99));
        assert_eq!(past.fate, None);
    }

    #[test]
    fn a_journal_of_something_else_is_not_touched() {
        let other = |a: &str, b: &str| read(&head().replace(a, b)).unwrap_err().to_string();
        assert!(other("spring", "summer").contains("another campaign, \"summer\""));
        assert!(other("demo", "shop").contains("another account"));
        assert!(other("\"T\"", "\"U\"").contains("another template"));
        assert!(other(":1,", ":2,").contains("another version"));
        assert!(
            read("openid\noA\n")
                .unwrap_err()
                .to_string()
                .contains("no journal")
        );
        let damaged = read(&(head() + "{\"to\":\"oA\"}\n"))
            .unwrap_err()
            .to_string();
        assert_eq!(damaged, "line 2 is damaged");
    }
}
