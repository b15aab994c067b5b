//! Commands that a message offers: as they can be pasted into a shell.

use crate::term::quoted;

/// `nightcall` with these words; none where a word cannot be typed.
pub fn command(words: &[&str]) -> Option<String> {
    let words: Option<Vec<String>> = words.iter().map(|word| quoted(word)).collect();
    Some(format!("nightcall {}", words?.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        let shown = |call: &str| command(&["show", call, "--store", "my store"]);
        assert_eq!(shown("8812").unwrap(), "nightcall show 8812 --store 'my store'");
        assert_eq!(shown("a b").unwrap(), "nightcall show 'a b' --store 'my store'");
        assert_eq!(shown("$(id)").unwrap(), "nightcall show '$(id)' --store 'my store'");
        assert_eq!(shown("a;b").unwrap(), "nightcall show 'a;b' --store 'my store'");
        assert_eq!(shown("\u{1b}[2J"), None);
    }
}
