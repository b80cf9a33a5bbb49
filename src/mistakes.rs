//! What is wrong with the user's input, each with its place, all of it reported together.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// A place in a text file: 1-based line and column, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// One mistake: what is wrong, where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    pub message: String,
    pub help: Option<String>,
}

/// The collector that everything reading user input writes to.
#[derive(Debug, Default, Clone)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    pub fn add_with_help(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.push(place, message.into(), Some(help.into()));
    }

    fn push(&mut self, place: Place, message: String, help: Option<String>) {
        let mistake = Mistake { place, message, help };
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of the file.
    pub fn sorted(&self) -> Vec<Mistake> {
        let mut all = self.0.clone();
        all.sort_by_key(|m| m.place);
        all
    }

    /// The report a person reads: every mistake with its line of the source.
    pub fn render(&self, path: &str, source: &str, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for mistake in self.sorted() {
            let span = span_of(source, mistake.place);
            let snippet = Snippet::source(source).path(path).annotation(AnnotationKind::Primary.span(span));
            let mut group = Level::ERROR.primary_title(mistake.message.as_str()).element(snippet);
            if let Some(help) = &mistake.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            let _ = writeln!(text, "{}\n", renderer.render(&[group]));
        }
        let count = self.len();
        let _ = write!(text, "{path}: {count} mistake{}; nothing was touched", if count == 1 { "" } else { "s" });
        text
    }
}

/// The bytes of the word that stands at a place.
fn span_of(source: &str, place: Place) -> std::ops::Range<usize> {
    let line_start = source.split_inclusive('\n').take(place.line.saturating_sub(1)).map(str::len).sum::<usize>();
    let line = source[line_start.min(source.len())..].split('\n').next().unwrap_or_default();
    let start = line.char_indices().nth(place.column.saturating_sub(1)).map_or(line.len(), |(i, _)| i);
    let word = line[start..].find([' ', ':', ',', '}', ']', '#']).unwrap_or(line.len() - start);
    let from = line_start.min(source.len()) + start;
    from..(from + word.max(1)).min(source.len()).max(from)
}

/// The known word nearest to what was written, when one is near enough to be meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(written, word), word))
        .filter(|(likeness, word)| *likeness >= 0.5 || word.starts_with(written) || written.starts_with(word))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// "did you mean `x`?" or the list of what is known.
pub fn suggestion<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone, what: &str) -> String {
    nearest(written, known.clone()).map_or_else(
        || {
            let mut words: Vec<&str> = known.into_iter().collect();
            words.sort_unstable();
            words.dedup();
            if words.is_empty() { format!("no {what} is known here") } else { format!("known {what}: {}", words.join(", ")) }
        },
        |word| format!("did you mean `{word}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_and_a_far_one_is_not() {
        assert_eq!(nearest("colums", ["columns", "rows"]), Some("columns"));
        assert_eq!(nearest("zzz", ["columns", "rows"]), None);
        assert_eq!(suggestion("zzz", ["rows", "columns"], "keys"), "known keys: columns, rows");
    }

    #[test]
    fn a_mistake_shows_file_line_and_column() {
        let mut mistakes = Mistakes::default();
        mistakes.add_with_help(Place { line: 2, column: 3 }, "unknown key `rwos`", "did you mean `rows`?");
        let text = mistakes.render("mlops.yml", "a: 1\n  rwos: 3\n", false);
        assert!(text.contains("--> mlops.yml:2:3"), "{text}");
        assert!(text.contains("did you mean `rows`?") && text.ends_with("1 mistake; nothing was touched"), "{text}");
    }

    #[test]
    fn a_place_past_the_end_does_not_panic() {
        let mut mistakes = Mistakes::default();
        mistakes.add(Place { line: 99, column: 99 }, "odd");
        assert!(mistakes.render("f", "", false).contains("odd"));
    }
}
