//! Parses the small common part of Python literals and JSON that tables use for architectures:
//! numbers, strings, lists, tuples, dicts, and calls with named arguments, as a named tuple is
//! printed.

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    Bool(bool),
    Text(String),
    /// A list or a tuple.
    List(Vec<Literal>),
    /// A dict, or the named arguments of a call.
    Named(Vec<(String, Literal)>),
}

/// Deepest nesting; no architecture has more.
const DEPTH: usize = 8;
/// Largest number of names in one bracket, which are compared with each other.
const NAMES: usize = 5000;

impl Literal {
    /// Reads the whole text, or tells where it stops being a literal.
    pub fn parse(text: &str) -> Result<Literal, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(reader.expected("the end")),
        }
    }

    /// Tells whether a text can only be a literal, since it starts with a bracket.
    pub fn opens(text: &str) -> bool {
        text.trim_start().starts_with(['(', '[', '{'])
    }

    pub fn list(&self) -> Option<&[Literal]> {
        match self {
            Literal::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Literal::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns a whole number that can be a code.
    pub fn code(&self) -> Option<u8> {
        match self {
            Literal::Int(i) => u8::try_from(*i).ok(),
            Literal::Bool(b) => Some((*b).into()),
            _ => None,
        }
    }

    /// Returns a list of numbers that can be codes.
    pub fn codes(&self) -> Option<Vec<u8>> {
        self.list()?.iter().map(Literal::code).collect()
    }

    /// Returns the value of a name.
    pub fn get(&self, name: &str) -> Option<&Literal> {
        match self {
            Literal::Named(pairs) => pairs.iter().find(|p| p.0 == name).map(|p| &p.1),
            _ => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Returns the next character that is not a space, without taking it.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn expected(&self, what: &str) -> String {
        let rest: String = self.text[self.at..].chars().take(20).collect();
        match rest.is_empty() {
            true => format!("expected {what} where the text ends"),
            false => format!("expected {what} at '{rest}'"),
        }
    }

    /// Takes the longest run of characters that `of` accepts.
    fn run(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn value(&mut self, depth: usize) -> Result<Literal, String> {
        if depth == DEPTH {
            return Err(format!("more than {DEPTH} brackets inside each other"));
        }
        match self.peek() {
            Some('[') => self.items('[', ']', depth),
            Some('(') => self.items('(', ')', depth),
            Some('{') => {
                self.at += 1;
                self.named(':', '}', depth)
            }
            Some('\'' | '"') => self.string().map(Literal::Text),
            Some(c) if c == '-' || c.is_ascii_digit() => {
                let start = self.at;
                let digits = self.run(|c| "+-.eE".contains(c) || c.is_ascii_digit());
                let (number, what) = match digits.contains(['.', 'e', 'E']) {
                    true => (digits.parse().map(Literal::Float).ok(), "a number"),
                    false => (digits.parse().map(Literal::Int).ok(), "a whole number"),
                };
                number.ok_or_else(|| {
                    self.at = start;
                    self.expected(what)
                })
            }
            Some(c) if c.is_ascii_alphabetic() => self.word(depth),
            _ => Err(self.expected("a value")),
        }
    }

    /// Reads `True`, `false` and their like (`None` is an empty list), `range(2, 6)`, or a call with
    /// named arguments.
    fn word(&mut self, depth: usize) -> Result<Literal, String> {
        let start = self.at;
        let word = self.run(|c| c.is_ascii_alphanumeric() || c == '_');
        match word {
            "True" | "true" => return Ok(Literal::Bool(true)),
            "False" | "false" => return Ok(Literal::Bool(false)),
            "None" | "null" => return Ok(Literal::List(Vec::new())),
            _ => {}
        }
        if self.peek() != Some('(') {
            self.at = start;
            return Err(self.expected("a value"));
        }
        if word != "range" {
            self.at += 1;
            return self.named('=', ')', depth);
        }
        let limits = self.items('(', ')', depth)?;
        match limits.codes().as_deref() {
            Some(&[from, to]) => {
                Ok(Literal::List((from..to).map(|i| Literal::Int(i.into())).collect()))
            }
            _ => Err("range needs two numbers".into()),
        }
    }

    fn items(&mut self, open: char, close: char, depth: usize) -> Result<Literal, String> {
        let mut items = Vec::new();
        self.take(open);
        while !self.take(close) {
            if !items.is_empty() && !self.take(',') {
                return Err(self.expected(&format!("',' or '{close}'")));
            }
            // A tuple of one has a comma after its value.
            if self.take(close) {
                break;
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(Literal::List(items))
    }

    fn named(&mut self, between: char, close: char, depth: usize) -> Result<Literal, String> {
        let mut pairs: Vec<(String, Literal)> = Vec::new();
        while !self.take(close) {
            if !pairs.is_empty() && !self.take(',') {
                return Err(self.expected(&format!("',' or '{close}'")));
            }
            let name = match self.peek() {
                Some('\'' | '"') => self.string()?,
                _ => self.run(|c| c.is_ascii_alphanumeric() || c == '_').into(),
            };
            if !self.take(between) {
                return Err(self.expected(&format!("'{between}'")));
            }
            if pairs.len() == NAMES {
                return Err(format!("more than {NAMES} names in one bracket"));
            }
            if pairs.iter().any(|p| p.0 == name) {
                return Err(format!("'{name}' is there twice"));
            }
            pairs.push((name, self.value(depth + 1)?));
        }
        Ok(Literal::Named(pairs))
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = self.peek().unwrap_or('"');
        self.at += quote.len_utf8();
        let mut text = String::new();
        loop {
            text.push_str(self.run(|c| c != quote && c != '\\'));
            let rest = &self.text[self.at..];
            if rest.starts_with(quote) {
                self.at += quote.len_utf8();
                return Ok(text);
            }
            let (c, length) = escaped(rest).ok_or_else(|| self.expected("the end of a string"))?;
            text.push(c);
            self.at += length;
        }
    }
}

/// Returns the character that an escape of JSON stands for, and the length of the escape in bytes.
fn escaped(text: &str) -> Option<(char, usize)> {
    let after = text.strip_prefix('\\')?;
    let code = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
    };
    let simple = |c| Some((c, 2));
    match after.chars().next()? {
        c @ ('"' | '\'' | '\\' | '/') => simple(c),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'u' => {
            let units = [code(0)?, code(6).unwrap_or(0)];
            let c = char::decode_utf16(units).next()?.ok()?;
            Some((c, 6 * c.len_utf16()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn python_and_json_read_alike() {
        let python = Literal::parse("( 1, (2, ), [-3], {'a b': \"c\"}, True )").unwrap();
        let json = Literal::parse(r#"[1,[2],[-3],{"a b":"c"},true]"#).unwrap();
        assert_eq!(python, json);
        let call =
            Literal::parse("Genotype(normal=[('x', 1)], normal_concat=range(2, 6))").unwrap();
        assert_eq!(call.get("normal_concat").unwrap().codes().unwrap(), [2, 3, 4, 5]);
        assert_eq!(call.get("normal").unwrap().list().unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_where_it_is() {
        for (text, part) in [
            ("", "expected a value where the text ends"),
            ("(1, 2", "expected ',' or ')' where the text ends"),
            ("(1 2)", "expected ',' or ')' at '2)'"),
            ("[1] x", "expected the end at 'x'"),
            ("{'a' 1}", "expected ':' at '1}'"),
            ("G(a=1, a=2)", "'a' is there twice"),
            ("[1-2]", "expected a whole number at '1-2]'"),
            ("'abc", "expected the end of a string"),
            ("[[[[[[[[[[1]]]]]]]]]]", "more than 8 brackets"),
            ("range(1)", "range needs two numbers"),
            ("[nan]", "expected a value at 'nan]'"),
        ] {
            let why = Literal::parse(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}|[\\[\\](){}'\",:=a-z0-9é ]{0,40}") {
            let _ = Literal::parse(&text);
        }
    }
}
