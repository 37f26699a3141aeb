//! Running templates: text, branches, loops and calls of other templates.

use std::fmt::Write as _;
use std::rc::Rc;

use gotmpl::parse::{BranchNode, ListNode, Node, SmolStr};

use super::chart::Chart;
use super::error::Fault;
use super::format;
use super::template::{Template, Templates};
use super::value::Value;
use super::yaml;

/// How deep templates may call each other.
const MAX_CALLS: usize = 60;
/// How many nodes a chart may run: Istio's largest needs some ten thousand.
const MAX_STEPS: u64 = 20_000_000;
/// The longest text a chart may become.
const MAX_OUTPUT: usize = 64 << 20;

/// What all templates of a chart share while they run.
pub(super) struct Engine<'a> {
    pub(super) chart: &'a Chart,
    pub(super) templates: Templates,
    pub(super) yaml: yaml::Memory,
    calls: usize,
    steps: u64,
}

/// One template at work: its variables, and the file its nodes stand in.
pub(super) struct Scope {
    pub(super) file: Rc<str>,
    pub(super) variables: Vec<(SmolStr, Value)>,
}

/// How a sequence of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

// === impl Engine ===

impl<'a> Engine<'a> {
    pub(super) fn new(chart: &'a Chart, templates: Templates) -> Self {
        Self { chart, templates, yaml: yaml::Memory::default(), calls: 0, steps: 0 }
    }

    /// Runs the template of that name.
    pub(super) fn run(&mut self, name: &str, dot: &Value) -> Result<String, Fault> {
        let template = self.templates.get(name).cloned().ok_or_else(|| Fault::new(format!("template {name:?} is not defined")))?;
        self.run_template(&template, dot)
    }

    /// Runs a template that need not be known by name.
    pub(super) fn run_template(&mut self, template: &Template, dot: &Value) -> Result<String, Fault> {
        if self.calls >= MAX_CALLS {
            return Err(Fault::new(format!("templates call each other more than {MAX_CALLS} deep")));
        }
        self.calls += 1;
        let mut scope = Scope { file: Rc::clone(&template.file), variables: vec![(SmolStr::new("$"), dot.clone())] };
        let mut out = String::new();
        let result = self.list(&template.body, dot, &mut scope, &mut out);
        self.calls -= 1;
        result.map(|_| out)
    }

    fn list(&mut self, list: &ListNode, dot: &Value, scope: &mut Scope, out: &mut String) -> Result<Flow, Fault> {
        for node in &list.nodes {
            self.steps += 1;
            if self.steps > MAX_STEPS || out.len() > MAX_OUTPUT {
                return Err(Fault::new("the template does not come to an end").at(&scope.file, line(node)));
            }
            let file = Rc::clone(&scope.file);
            let flow = self.node(node, dot, scope, out).map_err(|fault| fault.at(&file, line(node)))?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &Node, dot: &Value, scope: &mut Scope, out: &mut String) -> Result<Flow, Fault> {
        match node {
            Node::Text(text) => out.push_str(&text.text),
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot, scope)?;
                if action.pipe.decl.is_empty() {
                    print(&value, out)?;
                }
            }
            Node::If(branch) => {
                let mark = scope.variables.len();
                let flow = if self.pipe(&branch.pipe, dot, scope)?.truth() {
                    self.list(&branch.body, dot, scope, out)
                } else {
                    self.otherwise(branch, dot, scope, out)
                };
                scope.variables.truncate(mark);
                return flow;
            }
            Node::With(branch) => {
                let mark = scope.variables.len();
                let value = self.pipe(&branch.pipe, dot, scope)?;
                let flow =
                    if value.truth() { self.list(&branch.body, &value, scope, out) } else { self.otherwise(branch, dot, scope, out) };
                scope.variables.truncate(mark);
                return flow;
            }
            Node::Range(branch) => {
                let mark = scope.variables.len();
                let flow = self.range(branch, dot, scope, out);
                scope.variables.truncate(mark);
                return flow;
            }
            Node::Template(call) => {
                let argument = match &call.pipe {
                    Some(pipe) => self.pipe(pipe, dot, scope)?,
                    None => Value::Nil,
                };
                out.push_str(&self.run(&call.name, &argument)?);
            }
            Node::List(list) => return self.list(list, dot, scope, out),
            Node::Define(_) => {}
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn otherwise(&mut self, branch: &BranchNode, dot: &Value, scope: &mut Scope, out: &mut String) -> Result<Flow, Fault> {
        branch.else_body.as_ref().map_or(Ok(Flow::Next), |body| self.list(body, dot, scope, out))
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value, scope: &mut Scope, out: &mut String) -> Result<Flow, Fault> {
        let over = self.commands(&branch.pipe, dot, scope)?;
        let elements: Vec<(Value, Value)> = match &over {
            Value::Nil => Vec::new(),
            Value::List(items) => items.iter().enumerate().map(|(index, item)| (Value::Int(index as i64), item.clone())).collect(),
            Value::Map(entries) => entries.borrow().iter().map(|(key, value)| (Value::Str(Rc::clone(key)), value.clone())).collect(),
            Value::Int(count) if *count as u64 <= MAX_STEPS => (0..*count).map(|index| (Value::Int(index), Value::Int(index))).collect(),
            other => return Err(Fault::new(format!("range can't iterate over {}", other.kind()))),
        };
        if elements.is_empty() {
            return self.otherwise(branch, dot, scope, out);
        }
        for (key, element) in elements {
            let mark = scope.variables.len();
            match branch.pipe.decl.as_slice() {
                [] => {}
                [value] => scope.bind(value, element.clone(), branch.pipe.is_assign)?,
                [index, value, ..] => {
                    scope.bind(index, key, branch.pipe.is_assign)?;
                    scope.bind(value, element.clone(), branch.pipe.is_assign)?;
                }
            }
            let flow = self.list(&branch.body, &element, scope, out)?;
            scope.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }
}

// === impl Scope ===

impl Scope {
    /// Declares a variable, or assigns to the nearest of that name.
    pub(super) fn bind(&mut self, name: &SmolStr, value: Value, assign: bool) -> Result<(), Fault> {
        if !assign {
            self.variables.push((name.clone(), value));
            return Ok(());
        }
        let place = self.variables.iter_mut().rev().find(|(known, _)| known == name);
        place.map(|(_, place)| *place = value).ok_or_else(|| Fault::new(format!("undefined variable {name}")))
    }

    /// The nearest variable of that name.
    pub(super) fn variable(&self, name: &str) -> Result<Value, Fault> {
        let found = self.variables.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| Fault::new(format!("undefined variable {name}")))
    }
}

/// Prints a value as an action does. `<no value>` is what Go prints for nothing, and what Helm takes out at the end.
fn print(value: &Value, out: &mut String) -> Result<(), Fault> {
    match value {
        Value::Nil => out.push_str("<no value>"),
        Value::Str(text) => out.push_str(text),
        Value::Int(number) => write!(out, "{number}").map_err(|_| Fault::new("out of memory"))?,
        other => {
            other.check_depth().map_err(|_| Fault::new("a value contains itself"))?;
            out.push_str(&format::plain(other));
        }
    }
    Ok(())
}

/// The line a node stands on.
pub(super) fn line(node: &Node) -> usize {
    match node {
        Node::List(list) => list.pos.line,
        Node::Text(text) => text.pos.line,
        Node::Action(action) => action.pos.line,
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => branch.pos.line,
        Node::Template(call) => call.pos.line,
        Node::Define(define) => define.pos.line,
        Node::Break(pos) | Node::Continue(pos) => pos.line,
    }
}
