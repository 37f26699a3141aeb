//! Templates of a chart: read in Helm's order, with the places where each of them stands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use gotmpl::TemplateError;
use gotmpl::parse::{CommandNode, Expr, ListNode, Node, Parser, PipeNode};

use super::error::{Fault, RenderProblem};
use super::funcs;

/// A template that has been read.
#[derive(Clone)]
pub(super) struct Template {
    /// The file it stands in.
    pub(super) file: Rc<str>,
    /// Its body.
    pub(super) body: Rc<ListNode>,
}

/// All templates of a chart by name: files by their path, and what they define.
#[derive(Clone, Default)]
pub(super) struct Templates {
    named: BTreeMap<String, Template>,
}

/// What is put behind every template.
const LAST_ACTION: &str = "{{\"\"}}";

/// Files in the order in which Helm reads and runs them: the deepest first, and each depth backwards by name. Charts
/// rest on it: what has to run first is called `zzz_something`.
pub(super) fn in_order<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut paths: Vec<&str> = paths.map(String::as_str).collect();
    paths.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.cmp(a)));
    paths
}

fn depth(path: &str) -> usize {
    path.matches('/').count()
}

// === impl Templates ===

impl Templates {
    /// Reads a file; what it defines replaces what earlier files defined under the same name.
    pub(super) fn add(&mut self, file: &str, source: &str) -> Result<(), Fault> {
        // The parser ends at an `end` that closes nothing, as if the rest of the file were not there. Something of our own
        // at the very end shows that it has come to it.
        let source = with_comments_kept_apart(source).into_owned() + LAST_ACTION;
        let (mut body, defines) = Parser::new(&source, "{{", "}}").and_then(Parser::parse).map_err(|error| syntax(file, &error))?;
        match body.nodes.pop() {
            Some(Node::Action(action)) if action.pos.offset + LAST_ACTION.len() >= source.len() => {}
            last => {
                let line = last.as_ref().map_or(1, super::eval::line);
                let message = "there is an {{ end }} or {{ else }} that belongs to nothing, or an {{ end }} is missing, after this line";
                return Err(Fault { at: None, problem: RenderProblem::Syntax(message.to_owned()) }.at(file, line));
            }
        }
        check_functions(file, &body)?;
        let place: Rc<str> = Rc::from(file);
        for define in defines {
            check_functions(file, &define.body)?;
            // A later empty definition does not replace one with content.
            if define.body.is_empty_tree() && self.named.contains_key(define.name.as_str()) {
                continue;
            }
            self.named.insert(define.name.to_string(), Template { file: Rc::clone(&place), body: Rc::new(define.body) });
        }
        self.named.insert(file.to_owned(), Template { file: place, body: Rc::new(body) });
        Ok(())
    }

    /// The template of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Template> {
        self.named.get(name)
    }
}

fn syntax(file: &str, error: &TemplateError) -> Fault {
    let (line, message) = match error {
        TemplateError::Parse { line, message, .. } | TemplateError::Lex { line, message, .. } => (*line, message.clone()),
        other => (0, other.to_string()),
    };
    Fault { at: None, problem: RenderProblem::Syntax(message) }.at(file, line)
}

/// Go refuses a template with an unknown function even where it would never be called; so a chart that needs something
/// new is refused at once, not on the day when a value switches it on.
fn check_functions(file: &str, body: &ListNode) -> Result<(), Fault> {
    body.nodes.iter().try_for_each(|node| match node {
        Node::List(list) => check_functions(file, list),
        Node::Action(action) => check_pipe(file, &action.pipe),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
            check_pipe(file, &branch.pipe)?;
            check_functions(file, &branch.body)?;
            branch.else_body.as_ref().map_or(Ok(()), |body| check_functions(file, body))
        }
        Node::Template(call) => call.pipe.as_ref().map_or(Ok(()), |pipe| check_pipe(file, pipe)),
        Node::Define(define) => check_functions(file, &define.body),
        Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
    })
}

fn check_pipe(file: &str, pipe: &PipeNode) -> Result<(), Fault> {
    pipe.commands.iter().flat_map(|command: &CommandNode| &command.args).try_for_each(|expr| check_expr(file, expr))
}

fn check_expr(file: &str, expr: &Expr) -> Result<(), Fault> {
    match expr {
        Expr::Identifier(pos, name) if !funcs::is_known(name) => {
            Err(Fault { at: None, problem: RenderProblem::UnknownFunction(name.to_string()) }.at(file, pos.line))
        }
        Expr::Pipe(_, pipe) => check_pipe(file, pipe),
        Expr::Chain(_, inner, _) => check_expr(file, inner),
        _ => Ok(()),
    }
}

/// The parser takes `{{- /* x */}}` for trimmed on both sides; Go trims the left one only. Such a comment becomes an
/// empty text, with as many line ends inside as it had, so that lines keep their numbers.
fn with_comments_kept_apart(source: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(begin) = source[at..].find("{{").map(|found| at + found) {
        let inside = &source[begin + 2..];
        let (end, comment) = match comment_length(inside) {
            Some((length, comment)) => (begin + 2 + length, comment),
            None => (begin + 2 + action_length(inside), false),
        };
        if comment {
            out.push_str(&source[done..begin]);
            out.push_str("{{- \"\"");
            out.extend(source[begin..end].chars().filter(|&c| c == '\n'));
            out.push_str("}}");
            done = end;
        }
        at = end;
    }
    if done == 0 {
        return Cow::Borrowed(source);
    }
    out.push_str(&source[done..]);
    Cow::Owned(out)
}

/// Length of the comment that an action is, up to and with `}}`, and whether it trims on the left only.
fn comment_length(inside: &str) -> Option<(usize, bool)> {
    let left_trim = inside.starts_with("- ") || inside.starts_with("-\n") || inside.starts_with("-\t") || inside.starts_with("-\r");
    let body = if left_trim { inside[1..].trim_start() } else { inside };
    let text = body.strip_prefix("/*")?;
    let rest = &text[text.find("*/")? + 2..];
    let close = rest.find("}}")?;
    let right_trim = rest[..close].trim_start().starts_with('-');
    Some((inside.len() - rest.len() + close + 2, left_trim && !right_trim))
}

/// Length of an action up to and with its `}}`, which may also stand inside its texts.
fn action_length(inside: &str) -> usize {
    let bytes = inside.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'`' => at += inside[at + 1..].find('`').map_or(inside.len(), |length| length + 1),
            b'}' if inside[at..].starts_with("}}") => return at + 2,
            _ => {}
        }
        at += 1;
    }
    inside.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_left_trimmed_comments_are_rewritten() {
        for (given, expected) in [
            ("a\n{{- /* x */}}\nb", "a\n{{- \"\"}}\nb"),
            ("a\n{{- /* x\ny */}}\nb", "a\n{{- \"\"\n}}\nb"),
            ("{{/* x */}}", "{{/* x */}}"),
            ("{{- /* x */ -}}", "{{- /* x */ -}}"),
            ("{{ `{{- /* x */}}` }}", "{{ `{{- /* x */}}` }}"),
            ("{{ \"}}\" }}{{- /* x */}}", "{{ \"}}\" }}{{- \"\"}}"),
            ("{{- /* }} */}}b", "{{- \"\"}}b"),
            ("{{ unclosed", "{{ unclosed"),
        ] {
            assert_eq!(with_comments_kept_apart(given), expected);
        }
    }

    #[test]
    fn files_come_deepest_and_last_name_first() {
        let paths = ["templates/a.yaml", "templates/zzz.yaml", "templates/x/b.yaml", "templates/_h.tpl"].map(str::to_owned);
        assert_eq!(in_order(paths.iter()), ["templates/x/b.yaml", "templates/zzz.yaml", "templates/a.yaml", "templates/_h.tpl"]);
    }
}
