//! Text as it stands in XML 1.0 documents.

/// How text is written where XML cannot hold it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Escape {
    /// Whether line ends and tabs become references. As they are, readers turn them into spaces in attributes.
    pub(crate) references: bool,
    /// What stands for a control character and for others that XML has no place for.
    pub(crate) substitute: char,
}

// === impl Escape ===

impl Escape {
    /// For pictures: text that is looked at.
    pub(crate) const PICTURE: Self = Self { references: false, substitute: '?' };
    /// For reports, which the terminal program writes: text that is read back as it was, also out of attributes.
    #[cfg(any(test, feature = "cli"))]
    pub(crate) const REPORT: Self = Self { references: true, substitute: char::REPLACEMENT_CHARACTER };

    /// The text, fit for elements and for attributes in double quotes.
    pub(crate) fn apply(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\n' if self.references => out.push_str("&#10;"),
                '\r' if self.references => out.push_str("&#13;"),
                '\t' if self.references => out.push_str("&#9;"),
                '\n' | '\t' => out.push(letter),
                control if control.is_control() || ['\u{fffe}', '\u{ffff}'].contains(&control) => out.push(self.substitute),
                other => out.push(other),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_replaced_and_markup_is_text() {
        let text = "<a href=\"b\">&\r\n\tc\u{7}\u{fffe}ß</a>";
        assert_eq!(Escape::PICTURE.apply(text), "&lt;a href=&quot;b&quot;&gt;&amp;?\n\tc??ß&lt;/a&gt;");
        assert_eq!(Escape::REPORT.apply(text), "&lt;a href=&quot;b&quot;&gt;&amp;&#13;&#10;&#9;c\u{fffd}\u{fffd}ß&lt;/a&gt;");
    }
}
