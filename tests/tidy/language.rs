//! The language of comments and texts: pictures counted per 1,000 lines, and the doc comments that
//! open with a question word.

use std::path::Path;

use ::tests::host;

use crate::text::tracked;
use crate::tokens::{literals, test_items, tokens};

/// Pictures and personification, as phrases of lower-case words. A final `*` stands for any ending.
/// Each hides the mechanism (queue, timer, permit, eviction) or personifies code.
const PICTURES: &[&str] = &[
    // Persons and crowds, where a client, a peer, a task or a prefix is meant.
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    "someone",
    "anyone",
    "everyone",
    "whoever",
    "whomever",
    "whatever",
    "stranger",
    "strangers",
    "neighbourhood",
    "neighbourhoods",
    "ours",
    "theirs",
    // Code that hears, says and knows.
    "is told",
    "are told",
    "was told",
    "were told",
    "be told",
    "been told",
    "being told",
    "tell",
    "tells",
    "told",
    "hear",
    "hears",
    "heard",
    "say",
    "says",
    "said",
    "saying",
    "know",
    "knows",
    "knew",
    "want",
    "wants",
    "wanted",
    "wishes",
    "mind",
    "minds",
    "happy",
    "believe",
    "believes",
    "trust it",
    "trust them",
    "trusts it",
    "trusts them",
    "speak",
    "speaks",
    "spoke",
    "spoken",
    "listens to",
    "remember",
    "remembers",
    "remembered",
    "forget",
    "forgets",
    "forgotten",
    "forgiv*",
    "pardon*",
    "promis*",
    "look after",
    "looks after",
    "looked after",
    // Waiting, ending and permission as pictures.
    "in line",
    "in turn",
    "its turn",
    "their turn",
    "let in",
    "lets in",
    "come in",
    "goes away",
    "went away",
    "gone for good",
    "lives in",
    "lives on",
    "live in",
    "live on",
    "dies with",
    "die with",
    "give up the",
    "gives up the",
    "throw away",
    "thrown away",
    "is over",
    "it s over",
    "spoken for",
    "stray",
    "strays",
    "borne",
    "to be had",
    "word of",
    // Manner of speech.
    "at once",
    "in vain",
    "for ever",
    "forever",
    "meanwhile",
    "aloud",
    "once more",
    "shall",
    "meant",
    "as if by",
];

/// The words that make a doc comment a question instead of "Returns …" or a noun phrase.
const OPENERS: &[&str] = &[
    "What", "How", "Whether", "Who", "Whom", "Whose", "Where", "Which", "When", "Why",
];

/// Pictures per 1,000 lines of comments. Six comparable projects (quinn, rustls, ntpd-rs,
/// hickory-dns, smoltcp, a relay of firezone) have 0 to 3; 5 leaves room for quoted text.
const COMMENTS: usize = 5;

/// Pictures per 1,000 lines of texts for users: literals with spaces, and the Markdown files.
const TEXTS: usize = 5;

/// Percentage of doc comments that open with a question word. The same six projects have 0 to 7.
const OPENING: usize = 7;

/// The parts of the workspace that are measured one by one, then together.
const PARTS: &[&str] = &["eport-core", "tftpd", "rpc-portmap", "tests"];

/// Folders whose literals, outside of tests, are texts for users.
const SOURCES: &[&str] = &["eport-core/src", "tftpd/src", "rpc-portmap/src"];

#[test]
fn comments_name_the_mechanism_and_not_a_picture() {
    let mut found = Vec::new();
    let mut total = Measure::default();
    for part in PARTS {
        let measure = comments_of(part);
        found.extend(measure.verdict(part, COMMENTS));
        found.extend(measure.openers_verdict(part, OPENING));
        total.add(measure);
    }
    found.extend(total.verdict("all comments", COMMENTS));
    found.extend(total.openers_verdict("all comments", OPENING));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn texts_for_users_name_the_mechanism_and_not_a_picture() {
    let mut total = Measure::default();
    for file in tracked(host::workspace()) {
        let place = file.display().to_string();
        let text = || host::read_text(&host::workspace().join(&file));
        if is_rust(&file) && SOURCES.iter().any(|folder| file.starts_with(folder)) {
            if !is_test_file(&file) {
                total.add(texts(&place, &text()));
            }
        } else if is_prose(&file) {
            total.add(prose(&place, &text()));
        }
    }
    let found = total.verdict("texts for users", TEXTS);
    assert!(found.is_none(), "{}", found.unwrap_or_default());
}

/// The comments of every Rust file that git tracks below a folder of the workspace.
fn comments_of(part: &str) -> Measure {
    let mut total = Measure::default();
    for file in tracked(&host::workspace().join(part)) {
        // The lists of this file are no comments, but its sentences about them would count.
        if is_rust(&file) && !file.ends_with("tidy/language.rs") {
            let file = Path::new(part).join(file);
            let text = host::read_text(&host::workspace().join(&file));
            total.add(comments(&file.display().to_string(), &text));
        }
    }
    total
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

/// True for Markdown; the packages' links to the changelog of the root are read once, there.
fn is_prose(file: &Path) -> bool {
    let markdown = file.extension().is_some_and(|extension| extension == "md");
    markdown && !host::workspace().join(file).is_symlink()
}

/// True for the files of `mod tests;` and `mod testing;`, whose literals no user sees.
fn is_test_file(file: &Path) -> bool {
    let names = file.with_extension("");
    names
        .iter()
        .any(|name| name == "tests" || name == "testing")
}

/// Lines and doc comments that were read, and the places of what was found in them.
#[derive(Debug, Default, Eq, PartialEq)]
struct Measure {
    lines: usize,
    pictures: Vec<String>,
    docs: usize,
    openers: Vec<String>,
}

impl Measure {
    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.pictures.extend(other.pictures);
        self.docs += other.docs;
        self.openers.extend(other.openers);
    }

    /// Counts the pictures of a line.
    fn read(&mut self, place: &str, number: usize, line: &str) {
        self.lines += 1;
        self.pictures.extend(
            pictures(line)
                .iter()
                .map(|picture| format!("{place}:{number}: \"{picture}\" in: {}", line.trim())),
        );
    }

    /// Returns the places if there are more pictures than `limit` per 1,000 lines.
    fn verdict(&self, name: &str, limit: usize) -> Option<String> {
        let found = self.pictures.len();
        (found * 1_000 > limit * self.lines).then(|| {
            format!(
                "{name}: {found} pictures in {} lines; {limit} per 1,000 are allowed:\n{}",
                self.lines,
                self.pictures.join("\n")
            )
        })
    }

    /// Returns the places if more than `limit` per cent of the doc comments open with a question.
    fn openers_verdict(&self, name: &str, limit: usize) -> Option<String> {
        let found = self.openers.len();
        (found * 100 > limit * self.docs).then(|| {
            format!(
                "{name}: {found} of {} doc comments open with a question word; {limit} % may:\n{}",
                self.docs,
                self.openers.join("\n")
            )
        })
    }
}

/// Measures the comments of a source: whole lines that begin with `//`, `///` or `//!`.
fn comments(place: &str, source: &str) -> Measure {
    let mut measure = Measure::default();
    let mut before = "";
    for (number, line) in (1..).zip(source.lines()) {
        let line = line.trim_start();
        let kinds = ["///", "//!", "//"];
        let Some(kind) = kinds.into_iter().find(|kind| line.starts_with(kind)) else {
            before = "";
            continue;
        };
        let text = line.get(kind.len()..).unwrap_or_default().trim();
        measure.read(place, number, text);
        if kind != "//" && kind != before {
            measure.docs += 1;
            let opens = |word: &&&str| words(text).first() == Some(*word);
            if OPENERS.iter().any(|word| opens(&word)) {
                measure.openers.push(format!("{place}:{number}: {text}"));
            }
        }
        before = kind;
    }
    measure
}

/// Measures the literals of a source that hold more than one word, its tests left out.
fn texts(place: &str, source: &str) -> Measure {
    let tokens = tokens(source);
    let tests: Vec<_> = test_items(&tokens)
        .iter()
        .filter_map(|item| Some(tokens.get(item.start)?.line..=tokens.get(item.end - 1)?.line))
        .collect();
    let mut measure = Measure::default();
    for literal in literals(source) {
        let tested = tests.iter().any(|lines| lines.contains(&literal.line));
        if !tested && literal.text.trim().contains(' ') {
            let text = without(&literal.text, '{', '}');
            for (number, line) in (literal.line..).zip(text.lines()) {
                measure.read(place, number, line);
            }
        }
    }
    measure
}

/// Measures the lines of a Markdown file that hold words, those between fences left out.
fn prose(place: &str, text: &str) -> Measure {
    let mut measure = Measure::default();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !words(line).is_empty() {
            measure.read(place, number, &without(line, '`', '`'));
        }
    }
    measure
}

/// Leaves out each stretch from `open` to `close`: arguments of a format, code in a sentence.
fn without(text: &str, open: char, close: char) -> String {
    let mut inside = false;
    let kept = text.chars().filter(|&character| {
        let border = character == if inside { close } else { open };
        inside ^= border;
        !inside && !border
    });
    kept.collect()
}

/// The pictures in a line, the longest where several begin with the same word.
fn pictures(line: &str) -> Vec<&'static str> {
    let lower = line.to_lowercase();
    let words = words(&lower);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
        let longest = PICTURES
            .iter()
            .filter(|picture| begins(rest, picture))
            .max_by_key(|picture| picture.split(' ').count());
        found.extend(longest);
        at += longest.map_or(1, |picture| picture.split(' ').count());
    }
    found
}

fn begins(words: &[&str], picture: &str) -> bool {
    let mut parts = (0..).zip(picture.split(' '));
    parts.all(|(at, part): (usize, _)| {
        words
            .get(at)
            .is_some_and(|word| match part.strip_suffix('*') {
                Some(stem) => word.starts_with(stem),
                None => *word == part,
            })
    })
}

fn words(text: &str) -> Vec<&str> {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "/// Returns the permit that a queued request holds.\nfn f() {}\n";

    #[test]
    fn a_planted_sentence_is_counted_and_named() {
        let planted = format!("{PLAIN}// Nobody is told that its turn is over.\n");
        let measure = comments("a.rs", &planted);
        assert_eq!(measure.pictures.len(), 4, "{measure:?}");
        assert_eq!(
            measure.pictures[0],
            "a.rs:3: \"nobody\" in: Nobody is told that its turn is over."
        );
    }

    #[test]
    fn a_source_over_the_limit_fails_and_one_at_the_limit_passes() {
        let lines = |pictures| {
            "// Sends DATA.\n".repeat(1_000 - pictures) + &"// It hears.\n".repeat(pictures)
        };
        assert_eq!(comments("a.rs", &lines(5)).verdict("a", 5), None);
        let verdict = comments("a.rs", &lines(6))
            .verdict("a", 5)
            .expect("6 are above 5");
        assert!(
            verdict
                .starts_with("a: 6 pictures in 1000 lines; 5 per 1,000 are allowed:\na.rs:995: "),
            "{verdict}"
        );
    }

    #[test]
    fn doc_comments_that_open_with_a_question_are_counted_once_each() {
        let source = "//! What it is.\n//! How it works.\n\n/// Where it is.\nfn a() {}\n// Why.\n/// Returns what.\nfn b() {}\n";
        let measure = comments("a.rs", source);
        assert_eq!((measure.docs, measure.openers.len()), (3, 2), "{measure:?}");
        assert_eq!(measure.openers_verdict("a", 67), None);
        let verdict = measure
            .openers_verdict("a", 66)
            .expect("two of three are 66.7 %");
        assert!(
            verdict.contains("a.rs:1: What it is.\na.rs:4: Where it is."),
            "{verdict}"
        );
    }

    #[test]
    fn longer_words_and_longer_phrases_are_distinguished() {
        assert!(pictures("unknown essays stranglers known").is_empty());
        assert_eq!(
            pictures("ports spoken for, forgiven"),
            ["spoken for", "forgiv*"]
        );
        assert_eq!(
            pictures("Strangers' ports at once"),
            ["strangers", "at once"]
        );
    }

    #[test]
    fn texts_are_literals_with_several_words_outside_of_tests() {
        let source = "fn a() { error(\"nobody {wanted} answers\"); name(\"nobody\") }\n#[cfg(test)]\nmod tests {\n f(\"nobody comes\"); }\n";
        let measure = texts("a.rs", source);
        assert_eq!(
            (measure.lines, measure.pictures.len()),
            (1, 1),
            "{measure:?}"
        );
    }

    #[test]
    fn prose_is_read_outside_of_fences() {
        let measure = prose(
            "a.md",
            "# Head\n\n```\nnobody\n```\nA server says `say`.\n| --- |\n",
        );
        assert_eq!(
            (measure.lines, measure.pictures.len()),
            (2, 1),
            "{measure:?}"
        );
    }
}
