//! Which rules to look at for a push.
//!
//! Every rule is filed once, under the most telling of its conditions: a word of its text, its event key, its scene, its
//! events, its message types, or nothing. For a push the files that fit are gathered and put in the order of the rules.

use std::collections::BTreeMap;

use weir_protocol::push::Kind;

use crate::fold::FoldMap;

use super::words::Words;
use super::{Anchor, Rule, Subject, Texts, When, in_lower_case};

/// The condition that the index has seen to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proven {
    /// Keywords, and there are no patterns.
    Text,
    /// The event's key.
    EventKey,
    /// The scene.
    Scene,
    /// None for certain.
    Nothing,
}

/// A rule to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) rule: usize,
    pub(super) proven: Proven,
}

/// The files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Index {
    texts: Lookup,
    event_keys: Lookup,
    scenes: Lookup,
    /// By event in lower case.
    events: FoldMap<String, Vec<Filed>>,
    /// By `MsgType`.
    messages: FoldMap<String, Vec<Filed>>,
    any_event: Vec<Filed>,
    any_message: Vec<Filed>,
}

/// A rule, and where its word must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Filed {
    anchor: Anchor,
    candidate: Candidate,
}

/// Words, and the rules that are filed under each, in order.
#[derive(Debug, Clone, Default, PartialEq)]
struct Lookup {
    words: Words,
    lengths: Vec<usize>,
    filed: Vec<Vec<Filed>>,
    /// No text longer than this has any of them, bytes.
    longest: usize,
}

/// How a text is read.
#[derive(Debug, Clone, Copy)]
enum Case {
    AsItIs,
    Lower,
}

/// A lookup that is being made.
type Filing = BTreeMap<String, Vec<Filed>>;

/// Files that fit a push: each is in the order of the rules, and so is what comes out.
pub(super) struct Candidates<'i>(Vec<File<'i>>);

struct File<'i> {
    rest: &'i [Filed],
    /// Whether the word stands at the beginning.
    begins: bool,
    /// Whether it is all there is.
    whole: bool,
    /// Where it ends.
    end: usize,
}

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        let (mut texts, mut event_keys, mut scenes) = (Filing::new(), Filing::new(), Filing::new());
        for (rule, Rule { when, .. }) in rules.iter().enumerate() {
            let reads_text = !when.keywords.is_empty() || !when.patterns.is_empty();
            let nothing = Filed::new(rule, Proven::Nothing, Anchor::Contains);
            if reads_text {
                index.file_text(rule, when, &mut texts);
            } else if let Some(keys) = &when.event_key {
                file(&mut event_keys, keys, rule, Proven::EventKey);
            } else if let Some(keys) = &when.scene {
                file(&mut scenes, keys, rule, Proven::Scene);
            } else if when.is_for_messages() {
                index.any_message.push(nothing);
            } else if when.events.is_empty() && when.messages.is_empty() {
                index.any_message.push(nothing);
                index.any_event.push(nothing);
            } else {
                for event in &when.events {
                    match event.as_str() {
                        "*" => index.any_event.push(nothing),
                        event => {
                            let event = event.to_ascii_lowercase();
                            index.events.entry(event).or_default().push(nothing);
                        }
                    }
                }
                for message in &when.messages {
                    match message.as_str() {
                        "*" => index.any_message.push(nothing),
                        message => {
                            let message = message.to_owned();
                            index.messages.entry(message).or_default().push(nothing);
                        }
                    }
                }
            }
        }
        index.texts = Lookup::new(texts);
        index.event_keys = Lookup::new(event_keys);
        index.scenes = Lookup::new(scenes);
        index
    }

    fn file_text(&mut self, rule: usize, when: &When, texts: &mut Filing) {
        if when.keywords.is_empty() {
            for pattern in &when.patterns {
                let nothing = Filed::new(rule, Proven::Nothing, Anchor::Contains);
                match pattern.literal() {
                    // Nothing in it must occur: it has to be tried every time.
                    none if none.is_empty() => self.any_message.push(nothing),
                    literal => texts.entry(literal).or_default().push(nothing),
                }
            }
            return;
        }
        let proven = if when.patterns.is_empty() {
            Proven::Text
        } else {
            Proven::Nothing
        };
        for keyword in &when.keywords {
            let filed = texts.entry(keyword.word.clone()).or_default();
            filed.push(Filed::new(rule, proven, keyword.anchor));
        }
    }

    /// The rules that may apply, in order, each once.
    pub(super) fn candidates<'i>(&'i self, subject: &Subject<'_>) -> Candidates<'i> {
        let mut files = Vec::with_capacity(4);
        let push = subject.push;
        let mut all = |filed: &'i [Filed]| {
            if !filed.is_empty() {
                files.push(File::all(filed));
            }
        };
        match push.event() {
            _ if matches!(subject.kind, Kind::Component { .. }) => {}
            Some(event) => {
                all(&self.any_event);
                if !self.events.is_empty() {
                    let filed = self.events.get(&event.to_ascii_lowercase());
                    all(filed.map(Vec::as_slice).unwrap_or_default());
                }
                if let Some(key) = push.event_key() {
                    self.event_keys.find(key, Case::AsItIs, &mut files);
                }
                if let Some(scene) = subject.scene() {
                    self.scenes.find(scene, Case::AsItIs, &mut files);
                }
            }
            None => {
                all(&self.any_message);
                if !self.messages.is_empty() {
                    let filed = self.messages.get(push.msg_type());
                    all(filed.map(Vec::as_slice).unwrap_or_default());
                }
                if let Some(text) = subject.text() {
                    self.texts.find(text, Case::Lower, &mut files);
                }
            }
        }
        Candidates(files)
    }
}

impl Iterator for Candidates<'_> {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        // Of one rule in several files, what was proven comes before what was not.
        let next = self.0.iter_mut().filter_map(File::head).min()?;
        for file in &mut self.0 {
            while file.head().is_some_and(|head| head.rule == next.rule) {
                file.rest = file.rest.get(1..).unwrap_or_default();
            }
        }
        Some(next)
    }
}

impl<'i> File<'i> {
    fn all(rest: &'i [Filed]) -> Self {
        Self {
            rest,
            begins: true,
            whole: true,
            end: 0,
        }
    }

    /// The next rule whose word is where it must be.
    fn head(&mut self) -> Option<Candidate> {
        loop {
            let (first, rest) = self.rest.split_first()?;
            let fits = match first.anchor {
                Anchor::Exact => self.whole,
                Anchor::Prefix => self.begins,
                Anchor::Contains => true,
            };
            if fits {
                return Some(first.candidate);
            }
            self.rest = rest;
        }
    }
}

impl Filed {
    fn new(rule: usize, proven: Proven, anchor: Anchor) -> Self {
        let candidate = Candidate { rule, proven };
        Self { anchor, candidate }
    }
}

fn file(filing: &mut Filing, keys: &Texts, rule: usize, proven: Proven) {
    for text in &keys.texts {
        let filed = filing.entry(text.clone()).or_default();
        filed.push(Filed::new(rule, proven, keys.anchor));
    }
}

impl Lookup {
    fn new(filing: Filing) -> Self {
        let (words, filed): (Vec<String>, Vec<Vec<Filed>>) = filing.into_iter().unzip();
        let anchored = filed.iter().flatten().all(|f| f.anchor == Anchor::Exact);
        let longest = words.iter().map(String::len).max().unwrap_or(0);
        Self {
            words: Words::new(&words),
            lengths: words.iter().map(String::len).collect(),
            filed,
            // A character takes at most three times as many bytes as its other case.
            longest: if anchored { 3 * longest } else { usize::MAX },
        }
    }

    /// Adds the files whose words are in the text.
    fn find<'i>(&'i self, text: &str, case: Case, files: &mut Vec<File<'i>>) {
        if self.words.is_empty() || text.len() > self.longest {
            return;
        }
        let from = files.len();
        let mut search = self.words.search();
        let mut read = |part: &str| {
            search.read(part.as_bytes(), |place, end| {
                let filed = self.filed.get(place).map(Vec::as_slice).unwrap_or_default();
                files.push(File {
                    rest: filed,
                    begins: self.lengths.get(place).is_some_and(|length| *length == end),
                    whole: false,
                    end,
                });
            });
        };
        match case {
            Case::AsItIs => read(text),
            Case::Lower => in_lower_case(text, read),
        }
        let total = search.end();
        for file in files.iter_mut().skip(from) {
            file.whole = file.begins && file.end == total;
        }
    }
}
