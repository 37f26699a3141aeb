//! `.Files`: what else lies in a chart.

use super::error::Fault;
use super::eval::Engine;
use super::value::Value;

// === impl Engine ===

impl Engine<'_> {
    /// A method of `.Files`. A file that is not there is an empty text, as in Helm.
    pub(super) fn file_method(&mut self, method: &str, arguments: &[Value]) -> Result<Value, Fault> {
        let [Value::Str(path)] = arguments else {
            return Err(Fault::new(format!(".Files.{method} wants the path of a file")));
        };
        if method != "Get" {
            return Err(Fault::new(format!(".Files.{method} is not known here, only .Files.Get is")));
        }
        match self.chart.file(path).map(std::str::from_utf8) {
            Some(Ok(text)) => Ok(Value::text(text)),
            Some(Err(_)) => Err(Fault::new(format!("{path} is no UTF-8 text"))),
            None => Ok(Value::text("")),
        }
    }
}
