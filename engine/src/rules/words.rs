//! Finds all words of a set in a text, in one pass: an Aho–Corasick automaton.
//!
//! The cost of a search grows with the text and with what is found, not with the number of words; that of building,
//! with the words' bytes. A node takes 24 bytes, a word as many nodes as it has bytes that no other word begins with.
//!
//! Nodes are in breadth-first order, so the children of one are neighbours, sorted by their byte.

use std::ops::Range;

/// A set of words, each with its place in the list it was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    nodes: Vec<Node>,
    /// The child of the root for each first byte; 0 for none. Most bytes of a text begin no word and end here.
    first: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Node {
    /// Its children are `children_from .. children_from + children`.
    children_from: u32,
    children: u16,
    byte: u8,
    /// The node of the longest other suffix of this node's text that is in the set's trie.
    fallback: u32,
    /// One more than the place of the word that ends here; 0 for none.
    word: u32,
    /// The nearest node down the fallbacks where a word ends; 0 for none.
    shorter: u32,
}

/// The words that share the text of a node that has not got its children yet.
struct Open {
    words: Range<usize>,
    depth: usize,
}

/// A search under way. The text may come in parts.
#[derive(Debug)]
pub(crate) struct Search<'w> {
    words: &'w Words,
    at: u32,
    end: usize,
}

const ROOT: u32 = 0;

impl Words {
    /// `sorted` is in byte order, without repetitions and without the empty word. Places are indices into it.
    pub(crate) fn new(sorted: &[String]) -> Self {
        if sorted.is_empty() {
            return Self::default();
        }
        let mut nodes = vec![Node::default()];
        let mut open = vec![Open {
            words: 0..sorted.len(),
            depth: 0,
        }];
        let mut at = 0;
        while let Some(Open { words, depth }) = open.get_mut(at).map(std::mem::take) {
            let mut rest = words;
            let byte_at = |i: usize| sorted.get(i).and_then(|word| word.as_bytes().get(depth));
            if byte_at(rest.start).is_none()
                && let Some(node) = nodes.get_mut(at)
            {
                // In byte order the word that ends here comes before those that go on.
                node.word = number(rest.start) + 1;
                rest.start += 1;
            }
            let children_from = number(nodes.len());
            while let Some(&byte) = byte_at(rest.start).filter(|_| !rest.is_empty()) {
                let from = rest.start;
                while rest.start < rest.end && byte_at(rest.start) == Some(&byte) {
                    rest.start += 1;
                }
                nodes.push(Node {
                    byte,
                    ..Node::default()
                });
                open.push(Open {
                    words: from..rest.start,
                    depth: depth + 1,
                });
            }
            let children = u16::try_from(nodes.len() - children_from as usize).unwrap_or(u16::MAX);
            if let Some(node) = nodes.get_mut(at) {
                node.children_from = children_from;
                node.children = children;
            }
            at += 1;
        }
        let mut words = Self {
            nodes,
            first: vec![ROOT; 256],
        };
        for child in words.children(ROOT) {
            let byte = words.node(child).byte;
            if let Some(first) = words.first.get_mut(usize::from(byte)) {
                *first = child;
            }
        }
        words.link();
        words
    }

    /// Fills in the fallbacks. Those of a node's children lie higher up, so they are there already.
    fn link(&mut self) {
        for parent in 0..number(self.nodes.len()) {
            let above = self.node(parent).fallback;
            for child in self.children(parent) {
                let fallback = if parent == ROOT {
                    ROOT
                } else {
                    self.step(above, self.node(child).byte)
                };
                let end = self.node(fallback);
                let shorter = if end.word > 0 { fallback } else { end.shorter };
                if let Some(node) = self.nodes.get_mut(child as usize) {
                    node.fallback = fallback;
                    node.shorter = shorter;
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A search in a text that has not begun yet.
    pub(crate) fn search(&self) -> Search<'_> {
        Search {
            words: self,
            at: ROOT,
            end: 0,
        }
    }

    /// From `at` on by `byte`.
    fn step(&self, mut at: u32, byte: u8) -> u32 {
        while at != ROOT {
            let node = self.node(at);
            let children = self.children(at);
            let known = self
                .nodes
                .get(children.start as usize..children.end as usize)
                .unwrap_or_default();
            let place = match known {
                [only] => (only.byte == byte).then_some(0),
                several => several.binary_search_by_key(&byte, |n| n.byte).ok(),
            };
            if let Some(place) = place {
                return children.start + number(place);
            }
            at = node.fallback;
        }
        self.first.get(usize::from(byte)).copied().unwrap_or(ROOT)
    }

    fn node(&self, at: u32) -> Node {
        self.nodes.get(at as usize).copied().unwrap_or_default()
    }

    fn children(&self, at: u32) -> Range<u32> {
        let node = self.node(at);
        node.children_from..node.children_from + u32::from(node.children)
    }
}

impl Search<'_> {
    /// Reads on. Calls `found` with the place of each word that occurs, at each occurrence, and where in the whole text it ends.
    pub(crate) fn read(&mut self, part: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut at = self.at;
        for (read, byte) in part.iter().enumerate() {
            at = self.words.step(at, *byte);
            // Nothing ends at the root.
            if at == ROOT {
                continue;
            }
            let mut node = self.words.node(at);
            loop {
                if let Some(place) = node.word.checked_sub(1) {
                    found(place as usize, self.end + read + 1);
                }
                if node.shorter == ROOT {
                    break;
                }
                node = self.words.node(node.shorter);
            }
        }
        self.at = at;
        self.end += part.len();
    }

    /// How many bytes were read.
    pub(crate) fn end(&self) -> usize {
        self.end
    }
}

impl Default for Open {
    fn default() -> Self {
        Self {
            words: 0..0,
            depth: 0,
        }
    }
}

/// Nodes and words are counted in u32: a configuration is far smaller.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn found(words: &[&str], text: &str) -> Vec<String> {
        let mut sorted: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        sorted.sort();
        let mut found = Vec::new();
        let words = Words::new(&sorted);
        let mut search = words.search();
        // In parts, which need not be characters.
        for part in text.as_bytes().chunks(3) {
            search.read(part, |place, end| {
                let word = &sorted[place];
                assert_eq!(&text[end - word.len()..end], word);
                found.push(format!("{word}@{}", end - word.len()));
            });
        }
        assert_eq!(search.end(), text.len());
        found.sort();
        found
    }

    #[test]
    fn every_occurrence_of_every_word_is_found() {
        let check = |words: &[&str], text: &str, expected: &[&str]| {
            assert_eq!(found(words, text), expected, "{words:?} in {text:?}");
        };
        check(&[], "abc", &[]);
        check(&["a"], "", &[]);
        check(&["abc"], "xabcabx", &["abc@1"]);
        check(
            &["he", "she", "his", "hers"],
            "ushers",
            &["he@2", "hers@2", "she@1"],
        );
        check(
            &["a", "aa", "aaa"],
            "aaa",
            &["a@0", "a@1", "a@2", "aa@0", "aa@1", "aaa@0"],
        );
        check(&["abcd", "bc"], "abcx", &["bc@1"]);
        check(&["预约", "约"], "我要预约", &["约@9", "预约@6"]);
        check(&["\u{7f}", "b"], "a\u{7f}b", &["b@2", "\u{7f}@1"]);
    }

    #[test]
    fn it_finds_what_looking_for_each_word_would_find() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..500 {
            let mut text = |longest| -> String {
                (0..random(longest))
                    .map(|_| ['a', 'b', 'é'][random(3) as usize])
                    .collect()
            };
            let mut words: Vec<String> =
                (0..8).map(|_| text(5)).filter(|w| !w.is_empty()).collect();
            words.sort();
            words.dedup();
            let haystack = text(40);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut expected: Vec<String> = Vec::new();
            for word in &words {
                for at in 0..haystack.len() {
                    if haystack.as_bytes()[at..].starts_with(word.as_bytes()) {
                        expected.push(format!("{word}@{at}"));
                    }
                }
            }
            expected.sort();
            assert_eq!(found(&words, &haystack), expected);
        }
    }
}
