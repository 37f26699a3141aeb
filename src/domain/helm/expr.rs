//! Expressions of templates: pipelines, calls, fields.

use std::rc::Rc;

use gotmpl::parse::{CommandNode, Expr, Number, PipeNode, Pos, SmolStr};

use super::error::Fault;
use super::eval::{Engine, Scope};
use super::funcs;
use super::value::Value;

// === impl Engine ===

impl Engine<'_> {
    /// Evaluates a pipeline and binds the variables it declares.
    pub(super) fn pipe(&mut self, pipe: &PipeNode, dot: &Value, scope: &mut Scope) -> Result<Value, Fault> {
        let value = self.commands(pipe, dot, scope)?;
        for name in &pipe.decl {
            scope.bind(name, value.clone(), pipe.is_assign)?;
        }
        Ok(value)
    }

    /// Evaluates a pipeline's commands: each gets the result of the one before as its last argument.
    pub(super) fn commands(&mut self, pipe: &PipeNode, dot: &Value, scope: &mut Scope) -> Result<Value, Fault> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, scope, last)?);
        }
        last.ok_or_else(|| Fault::new("an empty pipeline").at(&scope.file, pipe.pos.line))
    }

    fn command(&mut self, command: &CommandNode, dot: &Value, scope: &mut Scope, piped: Option<Value>) -> Result<Value, Fault> {
        let Some((first, rest)) = command.args.split_first() else {
            return Err(Fault::new("an empty command").at(&scope.file, command.pos.line));
        };
        let file = Rc::clone(&scope.file);
        let place = |fault: Fault| fault.at(&file, first.pos().line);
        match first {
            Expr::Identifier(_, name) => self.call(name, rest, dot, scope, piped).map_err(place),
            Expr::Field(_, names) => self.method(dot.clone(), names, rest, dot, scope, piped).map_err(place),
            Expr::Variable(_, name, names) if !names.is_empty() => {
                let value = scope.variable(name).map_err(place)?;
                self.method(value, names, rest, dot, scope, piped).map_err(place)
            }
            Expr::Chain(_, inner, names) => {
                let value = self.expr(inner, dot, scope)?;
                self.method(value, names, rest, dot, scope, piped).map_err(place)
            }
            other if rest.is_empty() && piped.is_none() => self.expr(other, dot, scope),
            other => Err(Fault::new("can't give an argument to something that is no function").at(&scope.file, other.pos().line)),
        }
    }

    /// Fields, or the one method there is: `.Files.Get PATH`.
    fn method(
        &mut self,
        value: Value,
        names: &[SmolStr],
        rest: &[Expr],
        dot: &Value,
        scope: &mut Scope,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        if let Some((last, before)) = names.split_last()
            && (before.last().is_some_and(|name| name == "Files") || matches!(value, Value::Files))
            && let Value::Files = fields(value.clone(), before)?
        {
            let arguments = self.arguments(rest, dot, scope, piped)?;
            return self.file_method(last, &arguments);
        }
        if !rest.is_empty() || piped.is_some() {
            let name = names.last().map_or("", SmolStr::as_str);
            return Err(Fault::new(format!("{name} is not a method but has arguments")));
        }
        fields(value, names)
    }

    fn call(&mut self, name: &str, rest: &[Expr], dot: &Value, scope: &mut Scope, piped: Option<Value>) -> Result<Value, Fault> {
        // The only two that do not evaluate what they do not need.
        if name == "and" || name == "or" {
            return self.short_circuit(name == "or", rest, dot, scope, piped);
        }
        let arguments = self.arguments(rest, dot, scope, piped)?;
        funcs::call(self, name, &arguments)
    }

    fn short_circuit(
        &mut self,
        stop_at: bool,
        rest: &[Expr],
        dot: &Value,
        scope: &mut Scope,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let mut last = None;
        for expr in rest {
            let value = self.expr(expr, dot, scope)?;
            if value.truth() == stop_at {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| Fault::new("and/or want at least one argument"))
    }

    fn arguments(&mut self, rest: &[Expr], dot: &Value, scope: &mut Scope, piped: Option<Value>) -> Result<Vec<Value>, Fault> {
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for expr in rest {
            arguments.push(self.expr(expr, dot, scope)?);
        }
        arguments.extend(piped);
        Ok(arguments)
    }

    fn expr(&mut self, expr: &Expr, dot: &Value, scope: &mut Scope) -> Result<Value, Fault> {
        let file = Rc::clone(&scope.file);
        let place = |pos: &Pos| {
            let (file, line) = (Rc::clone(&file), pos.line);
            move |fault: Fault| fault.at(&file, line)
        };
        match expr {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Field(pos, names) => self.method(dot.clone(), names, &[], dot, scope, None).map_err(place(pos)),
            Expr::Variable(pos, name, names) => {
                let value = scope.variable(name).map_err(place(pos))?;
                if names.is_empty() { Ok(value) } else { self.method(value, names, &[], dot, scope, None).map_err(place(pos)) }
            }
            Expr::Identifier(pos, name) => self.call(name, &[], dot, scope, None).map_err(place(pos)),
            Expr::String(_, text) => Ok(Value::text(text.as_ref())),
            Expr::Number(_, Number::Int(number)) => Ok(Value::Int(*number)),
            Expr::Number(_, Number::Uint(number)) => Ok(Value::Float(*number as f64)),
            Expr::Number(_, Number::Float(number)) => Ok(Value::Float(*number)),
            Expr::Bool(_, flag) => Ok(Value::Bool(*flag)),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot, scope),
            Expr::Chain(pos, inner, names) => {
                let value = self.expr(inner, dot, scope)?;
                fields(value, names).map_err(place(pos))
            }
        }
    }
}

/// Follows fields. Go is lenient with a nothing it starts from (`(.a).b`), and strict with one it comes upon (`.a.b`).
pub(super) fn fields(start: Value, names: &[SmolStr]) -> Result<Value, Fault> {
    let lenient = matches!(start, Value::Nil);
    let mut value = start;
    for name in names {
        value = match &value {
            Value::Nil if lenient => Value::Nil,
            Value::Nil => return Err(Fault::new(format!("nothing there to take .{name} of (nil pointer evaluating .{name})"))),
            Value::Map(entries) => entries.borrow().get(name.as_str()).cloned().unwrap_or(Value::Nil),
            Value::Record(record) => match record.fields.get(name.as_str()) {
                Some(field) => field.clone(),
                None => return Err(Fault::new(format!("{} has no {name} here", record.name))),
            },
            other => return Err(Fault::new(format!("can't take .{name} of a {}", other.kind()))),
        };
    }
    Ok(value)
}
