//! Words of an instruction: quotes, backslashes and variables, as a Dockerfile has them.

/// Splits at unquoted white space, takes quotes off, and puts in `$NAME` and `${NAME}` from `env`.
pub(super) fn words(text: &str, env: &[String]) -> Vec<String> {
    let mut lexer = Lexer { rest: text.chars().collect(), at: 0, env };
    let mut words = Vec::new();
    while let Some(word) = lexer.word() {
        words.push(word);
    }
    words
}

struct Lexer<'a> {
    rest: Vec<char>,
    at: usize,
    env: &'a [String],
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.get(self.at).copied();
        self.at += usize::from(character.is_some());
        character
    }

    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn word(&mut self) -> Option<String> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.peek()?;
        let mut word = String::new();
        while let Some(character) = self.peek().filter(|character| !character.is_whitespace()) {
            self.at += 1;
            match character {
                '\'' => self.single_quoted(&mut word),
                '"' => self.double_quoted(&mut word),
                '\\' => word.extend(self.next()),
                '$' => self.variable(&mut word),
                other => word.push(other),
            }
        }
        Some(word)
    }

    fn single_quoted(&mut self, word: &mut String) {
        while let Some(character) = self.next().filter(|character| *character != '\'') {
            word.push(character);
        }
    }

    fn double_quoted(&mut self, word: &mut String) {
        while let Some(character) = self.next() {
            match character {
                '"' => return,
                '$' => self.variable(word),
                '\\' => match self.next() {
                    Some(escaped @ ('"' | '$' | '\\')) => word.push(escaped),
                    Some(other) => word.extend(['\\', other]),
                    None => word.push('\\'),
                },
                other => word.push(other),
            }
        }
    }

    fn variable(&mut self, word: &mut String) {
        let braced = self.peek() == Some('{');
        self.at += usize::from(braced);
        let mut name = String::new();
        while let Some(character) =
            self.peek().filter(|character| character.is_ascii_alphanumeric() || *character == '_')
        {
            name.push(character);
            self.at += 1;
        }
        if braced && self.peek() == Some('}') {
            self.at += 1;
        }
        if name.is_empty() && !braced {
            word.push('$');
            return;
        }
        let prefix = format!("{name}=");
        word.push_str(self.env.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_unquoted_and_expanded() {
        let env = ["A=one two".to_owned(), "B=x".to_owned()];
        let table: &[(&str, &[&str])] = &[
            ("a  b", &["a", "b"]),
            (r#"k="v w" x='y z'"#, &["k=v w", "x=y z"]),
            (r"a\ b", &["a b"]),
            ("$A ${B}c '$A' \"$B\"", &["one two", "xc", "$A", "x"]),
            ("$ 5$", &["$", "5$"]),
            ("${C}", &[""]),
            (r#""open"#, &["open"]),
            ("", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text, &env), *expected, "{text}");
        }
    }
}
