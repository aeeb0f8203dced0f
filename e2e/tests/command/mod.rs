//! Runs the `ropewalk` command in a private host, with plugins that record how they are called.
//!
//! It must never know more about the command than what its manual page says.

use std::path::Path;

use ropewalk_e2e::{Lab, Outcome, Value, command_path, json};

/// A plugin that writes down every call, passes the previous result on with one more interface, and
/// fails where it was told to. Plain shell, because nothing else may be assumed.
const SPY: &str = r#"
name=${0##*/}
log=/run/lab/spy
input=$(cat)
mkdir -p $log
printf '%s %s\n' "$CNI_COMMAND" "$name" >>$log/calls
number=$(wc -l <$log/calls)
printf '%s' "$input" >$log/$number.stdin
env | grep ^CNI_ | sort >$log/$number.env
if grep -qsx "$CNI_COMMAND $name" $log/failing; then
    echo '{"code": 111, "msg": "told to", "details": "by the test"}'
    exit 1
fi
case $CNI_COMMAND in
ADD)
    version=$(printf '%s' "$input" | jq -r '.cniVersion')
    printf '%s' "$input" | jq -c --arg name "$name" --arg version "$version" '
        {cniVersion: $version, interfaces: ((.prevResult.interfaces // []) + [{name: $name}])}'
    ;;
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}' ;;
esac
"#;

/// One call of a plugin that writes them down.
#[derive(Debug)]
pub(crate) struct Call {
    /// Verb and plugin, as `ADD a`.
    pub(crate) what: String,
    /// What it got on standard input.
    pub(crate) stdin: Value,
    /// What it got on standard input, to the letter.
    pub(crate) text: String,
    /// Its `CNI_` variables, sorted, as `NAME=value`.
    pub(crate) variables: Vec<String>,
}

/// A private host with the command and the plugins a, b and c.
pub(crate) struct Host {
    pub(crate) lab: Lab,
    plugin_path: String,
}

/// The command with its arguments and environment.
pub(crate) struct Tool<'host> {
    host: &'host Host,
    variables: Vec<(String, String)>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let lab = Lab::new();
        let mut plugin_path = String::new();
        for name in ["a", "b", "c"] {
            plugin_path = lab.delegate(name, SPY);
        }
        lab.netns("c1");
        Self { lab, plugin_path }
    }

    /// Puts a file into the configuration folder.
    pub(crate) fn configure(&self, file: &str, text: &str) {
        self.lab.write(&format!("/etc/cni/net.d/{file}"), text);
    }

    /// Configures a network called lan with these plugins.
    pub(crate) fn network(&self, version: &str, types: &[&str]) {
        let plugins: Vec<Value> = types.iter().map(|name| json!({ "type": name })).collect();
        let list = json!({ "cniVersion": version, "name": "lan", "plugins": plugins });
        self.configure("10-lan.conflist", &list.to_string());
    }

    /// Makes plugins fail, each as `ADD a`.
    pub(crate) fn fail(&self, calls: &[&str]) {
        self.lab.write("/run/lab/spy/failing", &(calls.join("\n") + "\n"));
    }

    /// The calls since the last question.
    #[track_caller]
    pub(crate) fn calls(&self) -> Vec<Call> {
        if !self.lab.exists("/run/lab/spy/calls") {
            return Vec::new();
        }
        let log = self.lab.read("/run/lab/spy/calls");
        let call = |(index, what): (usize, &str)| {
            let read = |kind: &str| self.lab.read(&format!("/run/lab/spy/{}.{kind}", index + 1));
            let text = read("stdin");
            Call {
                what: what.to_owned(),
                stdin: if text.is_empty() { Value::Null } else { parse(&text) },
                text,
                variables: read("env").lines().map(str::to_owned).collect(),
            }
        };
        let calls = log.lines().enumerate().map(call).collect();
        self.lab.sh("rm -f /run/lab/spy/calls /run/lab/spy/*.stdin /run/lab/spy/*.env");
        calls
    }

    /// The calls since the last question, without what came with them.
    #[track_caller]
    pub(crate) fn verbs(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.what).collect()
    }

    pub(crate) fn tool(&self) -> Tool<'_> {
        let tool = Tool { host: self, variables: Vec::new() };
        tool.variable("CNI_PATH", &self.plugin_path)
    }

    /// Runs `ropewalk VERB lan /run/netns/c1`.
    pub(crate) fn run(&self, verb: &str) -> Outcome {
        self.tool().run(&[verb, "lan", "/run/netns/c1"])
    }

    /// The files of records.
    pub(crate) fn records(&self) -> Vec<String> {
        self.lab.list("/var/lib/cni/results")
    }
}

impl Tool<'_> {
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_as(&command_path(), arguments)
    }

    /// Runs a program with this environment.
    pub(crate) fn run_as(&self, program: &Path, arguments: &[&str]) -> Outcome {
        let mut command = self.host.lab.enter();
        command.args(["--wd=/", "/usr/bin/timeout", "-k", "1", "60"]).arg(program).args(arguments);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("nsenter is installed");
        Outcome {
            what: format!("ropewalk {}", arguments.join(" ")),
            code: output.status.code().expect("timeout ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("the command prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the command prints UTF-8"),
        }
    }
}

fn parse(text: &str) -> Value {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Asserts that the command failed with an exit code, printed nothing, and complained like this.
#[track_caller]
pub(crate) fn fails(outcome: &Outcome, code: i32, complaint: &str) {
    assert_eq!(outcome.code, code, "{outcome}");
    assert_eq!(outcome.stdout, "", "{outcome}");
    assert!(outcome.stderr.starts_with("ropewalk: "), "{outcome}");
    assert!(outcome.stderr.contains(complaint), "should complain {complaint:?}: {outcome}");
}
