//! Calls from a client: how curl is asked to tell of them, and what it told.

use std::time::Duration;

use super::names;

/// Begins the line that curl writes after each call.
const CALL_MARK: &str = "kindmesh-call ";
/// Begins the line that curl writes after each probe.
const PROBE_MARK: &str = "kindmesh-probe ";
/// Longest single call, in seconds.
const CALL_LIMIT: &str = "5";
/// Longest wait for a connection of a probe, in seconds: an address nobody announces fails after
/// three, when its neighbours gave up asking for it.
const CONNECT_LIMIT: &str = "4";
/// curl's exit code for a time that is up.
const TIMED_OUT: i32 = 28;

/// One call to the sample's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// curl's exit code; 0 when an answer came, whatever it says.
    pub exit: i32,
    /// curl's words for what went wrong.
    pub message: String,
    /// HTTP status, 0 without one.
    pub status: u16,
    /// The answer's body.
    pub body: String,
    /// From its beginning to the end of the answer.
    pub took: Duration,
}

/// What the sample answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Version (`v1`).
    pub version: String,
    /// Name of the pod.
    pub instance: String,
}

/// Why a call is no answer of the sample.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallFault {
    /// No answer at all; curl's words.
    NoAnswer(String),
    /// A proxy could not trust the other one; its words.
    Untrusted(String),
    /// Something else answered, or not as the sample does.
    Bad(String),
}

/// One connection that went past the client's proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Where to: host and port.
    pub target: String,
    /// Whether the connection was made.
    pub connected: bool,
    /// HTTP status of an answer in plain text, 0 without one.
    pub status: u16,
    /// curl's exit code.
    pub exit: i32,
    /// curl's words for what went wrong.
    pub message: String,
}

// === impl Call ===

impl Call {
    /// The command that makes `count` calls one after the other, each over a connection of its own,
    /// and tells each. One process for all: curl repeats a URL with a range in it, and a range in the
    /// fragment never leaves it.
    pub fn command(count: usize) -> Vec<String> {
        let url = format!("http://{}.{}:{}{}", names::SERVICE, names::SAMPLE_NAMESPACE, names::SERVICE_PORT, names::SERVICE_PATH);
        let tell = format!("\\n{CALL_MARK}%{{exitcode}} %{{http_code}} %{{time_total}} %{{errormsg}}\\n");
        let words = ["curl", "-sSN", "--max-time", CALL_LIMIT, "-H", "Connection: close", "-w", &tell, &format!("{url}#[1-{count}]")];
        words.map(str::to_owned).into()
    }

    /// Reads what the command told. What is no complete call is left out, and missing then.
    pub fn parse(output: &str) -> Vec<Self> {
        let mut calls = Vec::new();
        let mut body = String::new();
        for line in output.split_inclusive('\n') {
            match line.strip_prefix(CALL_MARK) {
                Some(told) if line.ends_with('\n') => {
                    if let Some(mut call) = Self::told(told.trim_end()) {
                        // One line end is the mark's own.
                        let end = body.len() - usize::from(body.ends_with('\n'));
                        body[..end].clone_into(&mut call.body);
                        calls.push(call);
                    }
                    body.clear();
                }
                _ => body.push_str(line),
            }
        }
        calls
    }

    fn told(told: &str) -> Option<Self> {
        let mut words = told.splitn(4, ' ');
        let exit = words.next()?.parse().ok()?;
        let status = words.next()?.parse().ok()?;
        let took = Duration::try_from_secs_f64(words.next()?.parse().ok()?).ok()?;
        Some(Self { exit, status, took, message: words.next().unwrap_or_default().trim().to_owned(), body: String::new() })
    }

    /// What the sample answered.
    ///
    /// # Errors
    /// When this is no answer of the sample.
    pub fn answer(&self) -> Result<Answer, CallFault> {
        let short = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect::<String>();
        if self.exit != 0 {
            return Err(CallFault::NoAnswer(format!("curl ended with {}: {}", self.exit, short(&self.message))));
        }
        if self.status != 200 {
            let text = format!("HTTP {}: {}", self.status, short(&self.body));
            // BoringSSL's word in Envoy's answer for a certificate from a root it does not know.
            let untrusted =
                ["CERTIFICATE_VERIFY_FAILED", "TLS_error", "certificate verify failed"].iter().any(|word| self.body.contains(word));
            return Err(if untrusted { CallFault::Untrusted(text) } else { CallFault::Bad(text) });
        }
        self.body.parse().map_err(|()| CallFault::Bad(format!("the answer is not the sample's: {}", short(&self.body))))
    }
}

// === impl Answer ===

impl std::str::FromStr for Answer {
    type Err = ();

    /// Reads `Hello version: v1, instance: NAME`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (version, instance) = text.trim().strip_prefix("Hello version: ").and_then(|rest| rest.split_once(", instance: ")).ok_or(())?;
        let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        match is_word(version) && is_word(instance) {
            true => Ok(Self { version: version.to_owned(), instance: instance.to_owned() }),
            false => Err(()),
        }
    }
}

// === impl Probe ===

impl Probe {
    /// The command that connects to every target at once, says some plain text, and tells what came of
    /// each.
    pub fn command(targets: &[String]) -> Vec<String> {
        let tell = format!("{PROBE_MARK}%{{url}} %{{exitcode}} %{{http_code}} %{{time_connect}} %{{errormsg}}\\n");
        let words = ["curl", "-s", "--parallel", "--parallel-immediate", "--connect-timeout", CONNECT_LIMIT, "--max-time", CALL_LIMIT];
        let mut command: Vec<String> = words.map(str::to_owned).into();
        command.extend(["-w".to_owned(), tell]);
        for target in targets {
            command.extend(["-o".to_owned(), "/dev/null".to_owned(), format!("http://{target}{}", names::SERVICE_PATH)]);
        }
        command
    }

    /// Reads what the command told.
    pub fn parse(output: &str) -> Vec<Self> {
        output.lines().filter_map(|line| Self::told(line.strip_prefix(PROBE_MARK)?)).collect()
    }

    fn told(told: &str) -> Option<Self> {
        let mut words = told.splitn(5, ' ');
        let target = words.next()?.strip_prefix("http://")?.strip_suffix(names::SERVICE_PATH)?.to_owned();
        let exit = words.next()?.parse().ok()?;
        let status = words.next()?.parse().ok()?;
        let connect: f64 = words.next()?.parse().ok()?;
        let message = words.next().unwrap_or_default().trim().to_owned();
        Some(Self { target, connected: connect > 0.0, status, exit, message })
    }

    /// Whether the connection was made and then ended by the other side without a word of HTTP, which
    /// is what a proxy that wants mutual TLS does.
    pub fn refused(&self) -> bool {
        self.connected && self.status == 0 && self.exit != 0 && self.exit != TIMED_OUT
    }

    /// Whether something answered in plain text.
    pub fn answered(&self) -> bool {
        self.status != 0
    }

    /// What came of it, in words.
    pub fn describe(&self) -> String {
        match (self.connected, self.status) {
            (_, 1..) => format!("HTTP {}", self.status),
            (true, 0) => format!("connected, then curl ended with {}: {}", self.exit, self.message),
            (false, 0) => format!("not connected (curl {}: {})", self.exit, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "Hello version: v1, instance: helloworld-v1-5c-x\n\nkindmesh-call 0 200 0.003217 \n\
        upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, \
        transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end\n\
        kindmesh-call 0 503 0.1 \n\
        \nkindmesh-call 28 000 5.000 Operation timed out after 5000 milliseconds\n\
        \nkindmesh-call 0 200 0.0";

    #[test]
    fn calls_are_read_as_curl_tells_them() {
        let calls = Call::parse(TOLD);
        assert_eq!(calls.len(), 3, "the last line is cut off: {calls:?}");
        assert_eq!(calls[0].answer(), Ok(Answer { version: "v1".into(), instance: "helloworld-v1-5c-x".into() }));
        assert_eq!(calls[0].took, Duration::from_micros(3217));
        assert!(matches!(calls[1].answer(), Err(CallFault::Untrusted(text)) if text.starts_with("HTTP 503: upstream connect error")));
        let timeout = "curl ended with 28: Operation timed out after 5000 milliseconds";
        assert_eq!(calls[2].answer(), Err(CallFault::NoAnswer(timeout.into())));
    }

    #[test]
    fn answers_are_the_samples_or_none() {
        for bad in [
            "",
            "Hello version: , instance: x",
            "Hello version: v1, instance: ",
            "Hello version: v1",
            "Hello version: v1, instance: a b",
            "<html>",
        ] {
            assert_eq!(bad.parse::<Answer>(), Err(()), "{bad}");
        }
        let good: Answer = "Hello version: v2, instance: pod-1\n".parse().unwrap();
        assert_eq!((good.version.as_str(), good.instance.as_str()), ("v2", "pod-1"));
    }

    #[test]
    fn every_word_of_a_cut_off_answer_is_bad() {
        let call = |body: &str| Call { exit: 0, message: String::new(), status: 200, body: body.into(), took: Duration::ZERO };
        assert!(matches!(call("Hello vers").answer(), Err(CallFault::Bad(_))));
        assert_eq!(Call::parse("no mark at all\n"), []);
        assert_eq!(Call::parse("kindmesh-call x 200 1 \nkindmesh-call 0 200 -1 \nkindmesh-call\n"), []);
    }

    #[test]
    fn probes_tell_a_refusal_from_an_answer_and_from_nobody() {
        let told = "kindmesh-probe http://10.1.0.7:5000/hello 56 000 0.000316 Recv failure: Connection reset by peer\n\
            kindmesh-probe http://10.1.0.8:5000/hello 0 200 0.000316 \n\
            kindmesh-probe http://172.18.255.9:15443/hello 7 000 0.000000 Failed to connect\n\
            kindmesh-probe http://10.1.0.9:5000/hello 28 000 0.000316 Operation timed out\n";
        let probes = Probe::parse(told);
        let of = |probe: &Probe| (probe.refused(), probe.answered(), probe.connected);
        assert_eq!(
            probes.iter().map(of).collect::<Vec<_>>(),
            [(true, false, true), (false, true, true), (false, false, false), (false, false, true)]
        );
        assert_eq!(probes[0].target, "10.1.0.7:5000");
        assert_eq!(probes[2].describe(), "not connected (curl 7: Failed to connect)");
    }

    #[test]
    fn one_command_makes_all_calls() {
        let command = Call::command(20);
        assert_eq!(command.last().map(String::as_str), Some("http://helloworld.sample:5000/hello#[1-20]"));
        assert_eq!(Probe::command(&["1.2.3.4:5".into()]).last().map(String::as_str), Some("http://1.2.3.4:5/hello"));
    }
}
