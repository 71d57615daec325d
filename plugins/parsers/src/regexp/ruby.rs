//! Expressions as Ruby writes them, as the regex crate reads them.
//!
//! Both are much alike. What differs is put right here: `\d`, `\s` and `\w` are ASCII in Ruby, `\h` is a hexadecimal
//! digit, `(?m)` lets a dot match a line feed, and with `x` a blank in a class still counts.

/// An expression without its slashes, and its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'t> {
    pub(super) body: &'t str,
    pub(super) ignore_case: bool,
    pub(super) dot_matches_line_feed: bool,
    pub(super) extended: bool,
}

impl<'t> Written<'t> {
    /// Takes `/expression/imx` apart. Anything else is an expression without flags.
    pub(super) fn read(text: &'t str) -> Self {
        let inner = text
            .strip_prefix('/')
            .and_then(|rest| rest.rsplit_once('/'));
        let (body, flags) = match inner {
            Some((body, flags)) if flags.chars().all(|flag| flag.is_ascii_lowercase()) => {
                (body, flags)
            }
            _ => (text, ""),
        };
        Self {
            body,
            ignore_case: flags.contains('i'),
            dot_matches_line_feed: flags.contains('m'),
            extended: flags.contains('x'),
        }
    }

    /// The expression for the regex crate.
    pub(super) fn translate(&self) -> String {
        let mut out = String::with_capacity(self.body.len() + 16);
        let mut chars = self.body.chars().peekable();
        let mut class_depth = 0_usize;
        let mut is_comment = false;
        while let Some(char) = chars.next() {
            if is_comment {
                is_comment = char != '\n';
                out.push(char);
                continue;
            }
            match char {
                '\\' => match chars.next() {
                    Some(escaped) => escape(&mut out, escaped),
                    None => out.push('\\'),
                },
                '[' => {
                    class_depth += 1;
                    out.push('[');
                    // A bracket that closes nothing yet stands for itself.
                    if chars.next_if_eq(&'^').is_some() {
                        out.push('^');
                    }
                    if chars.next_if_eq(&']').is_some() {
                        out.push_str(r"\]");
                    }
                }
                ']' if class_depth > 0 => {
                    class_depth -= 1;
                    out.push(']');
                }
                ' ' | '\t' | '\n' | '#' if class_depth > 0 && self.extended => {
                    out.push('\\');
                    out.push(char);
                }
                '#' if self.extended => {
                    is_comment = true;
                    out.push('#');
                }
                '(' if class_depth == 0 && chars.peek() == Some(&'?') => {
                    out.push_str("(?");
                    chars.next();
                    while let Some(flag) =
                        chars.next_if(|flag| matches!(flag, 'i' | 'm' | 'x' | '-'))
                    {
                        out.push(if flag == 'm' { 's' } else { flag });
                    }
                }
                other => out.push(other),
            }
        }
        out
    }
}

fn escape(out: &mut String, escaped: char) {
    let class = match escaped {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[ \t\r\n\f\v]",
        'S' => r"[^ \t\r\n\f\v]",
        'h' => "[0-9A-Fa-f]",
        'H' => "[^0-9A-Fa-f]",
        'R' => r"(?:\r\n|[\n\v\f\r])",
        'Z' => r"(?:\n?\z)",
        'e' => r"\x1B",
        '/' => "/",
        // Letters may mean something; every other character stands for itself.
        other => {
            if other.is_ascii() {
                out.push('\\');
            }
            return out.push(other);
        }
    };
    out.push_str(class);
}
