//! What a runner of GitHub reads in a log: its commands, and text that is none.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

/// Anybody's text in a log, in which the start of any line may be a command.
pub fn harmless(text: &str) -> String {
    let line = |line: &str| {
        let visible: String = line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
        let visible = visible.replace("##[", "# #[");
        let start = visible.len() - visible.trim_start().len();
        if visible[start..].starts_with("::") { format!("{}: :{}", &visible[..start], &visible[start + 2..]) } else { visible }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// `error` or `warning` at a file, a line and a column, in the diff of a pull request.
pub fn annotation(level: &str, place: Option<(&str, usize, usize)>, title: &str, text: &str) -> String {
    let place = place.map(|(file, line, column)| format!("file={},line={line},col={column},", property(file))).unwrap_or_default();
    // GitHub cuts at 4,096.
    let text: String = text.chars().take(4_000).collect();
    format!("::{level} {place}title={}::{}\n", property(title), data(&text))
}

/// The order matters: the percent sign first.
fn data(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !c.is_control() || "\r\n\t".contains(*c)).collect();
    // The older form of a command counts anywhere in a line.
    visible.replace("##[", "# #[").replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command() {
        assert_eq!(harmless(" INFO a\n::error::b\n  ::add-mask::c\r##[group]d\u{1b}[31m"), " INFO a\n: :error::b\n  : :add-mask::c # #[group]d [31m");
        assert_eq!(harmless("a::b\n"), "a::b\n");
    }

    #[test]
    fn nothing_in_a_text_ends_a_property_a_line_or_a_command() {
        assert_eq!(data("100% a\r\nb ##[error]x ::warning::"), "100%25 a%0D%0Ab # #[error]x ::warning::");
        assert_eq!(property("a:b,c=d\n%0A"), "a%3Ab%2Cc=d%0A%250A");
    }
}
