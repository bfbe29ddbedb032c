//! Scripts and shell commands.
//!
//! Invariant: a test looks at what a process did or said, never at how long it took.
//! Not here: what an exit code means to a task.

use super::{Bed, Processes, kind};
use openevent_flow::{Call, Code, Fault, Language, ProcessCall, Program, Resource, Wait};
use openevent_testkit::{Answer, Receiver, until};
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_mins(1);

fn call(program: Program) -> ProcessCall {
    ProcessCall {
        program,
        arguments: Vec::new(),
        environment: Vec::new(),
        stdin: None,
        wait: Wait::Yes,
        reference: "/do/0/run".into(),
    }
}

fn shell(text: &str) -> ProcessCall {
    call(Program::Shell(text.into()))
}

fn python(code: Code) -> ProcessCall {
    call(Program::Script { language: Language::Python, code })
}

async fn on(deadline: Duration) -> Bed {
    let path = std::env::var_os("PATH").and_then(|path| path.into_string().ok());
    Bed::with(Processes { shell: true, script: true, path }, deadline, &[]).await
}

async fn run(bed: &Bed, call: ProcessCall) -> Result<Value, Fault> {
    bed.perform(Call::Process(call), None).await
}

#[tokio::test]
async fn nothing_is_run_unless_it_is_switched_on() {
    let bed = Bed::new().await;
    for call in [shell("true"), python(Code::Inline(String::new()))] {
        let fault = run(&bed, call).await.unwrap_err();
        assert_eq!(
            (kind(&fault), fault.detail.as_ref().is_some_and(|detail| detail.contains("[run]"))),
            ("configuration", true)
        );
    }
}

#[tokio::test]
async fn a_command_gets_what_it_is_given_and_nothing_of_the_servers() {
    let bed = on(LONG).await;
    let mut call = shell(
        "cat; echo \"$1-$GREETING\"; env | cut -d= -f1 | sort | tr '\\n' ' '; ls -a | wc -l; echo oops >&2; exit 3",
    );
    call.arguments = vec!["a b".into()];
    call.environment = vec![("GREETING".into(), "hi".into())];
    call.stdin = Some("in\n".into());

    let answer = run(&bed, call).await.unwrap();

    assert_eq!((&answer["code"], &answer["stderr"]), (&json!(3), &json!("oops\n")));
    let stdout = answer["stdout"].as_str().unwrap();
    assert!(stdout.starts_with("in\na b-hi\n"), "{stdout}");
    assert!(!stdout.contains("CARGO"), "{stdout}");
    // `.` and `..`: the folder is empty.
    assert_eq!(stdout.lines().last().and_then(|line| line.split_whitespace().last()), Some("2"), "{stdout}");
}

#[tokio::test]
async fn a_script_runs_with_its_arguments_also_when_it_is_elsewhere() {
    let (bed, receiver) = (on(LONG).await, Receiver::start().await);
    let text = "import sys\nprint(sys.stdin.read() + sys.argv[1])";
    receiver.answer_with(move |_, _| Answer::status(200).body(text));
    let elsewhere = Code::From(Resource { uri: receiver.url("/script.py"), authentication: None });
    for code in [Code::Inline(text.into()), elsewhere] {
        let mut call = python(code);
        call.arguments = vec!["world".into()];
        call.stdin = Some("hello ".into());
        assert_eq!(
            run(&bed, call).await.unwrap(),
            json!({"code": 0, "stdout": "hello world\n", "stderr": ""})
        );
    }
}

#[tokio::test]
async fn a_language_that_is_not_installed_is_a_configuration_fault() {
    let processes = Processes { shell: true, script: true, path: Some("/nonexistent".into()) };
    let bed = Bed::with(processes, LONG, &[]).await;

    let fault = run(&bed, python(Code::Inline(String::new()))).await.unwrap_err();

    assert_eq!(kind(&fault), "configuration");
    assert!(fault.detail.is_some_and(|detail| detail.contains("`python3` is not installed")));
}

#[tokio::test]
async fn output_is_cut_at_its_cap_and_read_to_its_end() {
    let bed = on(LONG).await;

    let answer = run(&bed, shell("head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2")).await.unwrap();

    assert_eq!(answer["stdout"].as_str().map(str::len), Some(1024 * 1024));
    assert_eq!((&answer["code"], &answer["stderr"]), (&json!(0), &json!("end\n")));
}

/// Whether the process that wrote its id into a file is there.
fn is_there(file: &std::path::Path) -> bool {
    let id = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let stat = id.and_then(|id| std::fs::read_to_string(format!("/proc/{id}/stat")).ok()).unwrap_or_default();
    // One that ended and was not looked after yet is not there.
    !stat.is_empty() && !stat.contains(") Z ")
}

fn leaving_a_child(file: &std::path::Path) -> String {
    format!("sleep 300 & echo $! > {}", file.display())
}

#[tokio::test]
async fn a_process_is_ended_with_its_children_at_its_deadline() {
    let bed = on(Duration::from_millis(500)).await;
    let file = bed.file.dir().join("child");

    let fault = run(&bed, shell(&format!("{}; wait", leaving_a_child(&file)))).await.unwrap_err();

    assert_eq!(kind(&fault), "timeout");
    until("the child is gone", async || (!is_there(&file)).then_some(())).await;
}

#[tokio::test]
async fn what_a_process_leaves_behind_ends_with_it() {
    let bed = on(LONG).await;
    let file = bed.file.dir().join("child");

    let answer = run(&bed, shell(&leaving_a_child(&file))).await.unwrap();

    assert_eq!(answer["code"], 0);
    until("the child is gone", async || (!is_there(&file)).then_some(())).await;
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_its_process() {
    let bed = on(LONG).await;
    let file = bed.file.dir().join("child");
    let script = format!("{}; wait", leaving_a_child(&file));
    {
        let running = run(&bed, shell(&script));
        tokio::select! {
            _ = running => panic!("it waits for its child"),
            () = until("the child is there", async || is_there(&file).then_some(())) => {}
        }
    }
    until("the child is gone", async || (!is_there(&file)).then_some(())).await;
}

#[tokio::test]
async fn a_process_nobody_waits_for_goes_on() {
    let bed = on(LONG).await;
    let file = bed.file.dir().join("done");
    let mut call = shell(&format!("echo yes > {}", file.display()));
    call.wait = Wait::No;

    run(&bed, call).await.unwrap();

    until("it is done", async || {
        std::fs::read_to_string(&file).is_ok_and(|text| text == "yes\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn secrets_reach_a_process_and_do_not_come_back() {
    let bed = on(LONG).await;
    bed.put("key", json!("k3y-value")).await;
    let given = bed.given(&["key"]).await;
    let key = given["key"].as_str().unwrap().to_owned();
    let mut call = shell("echo \"$KEY $1 ${#1}\"; cat");
    call.environment = vec![("KEY".into(), key.clone())];
    call.arguments = vec![key.clone()];
    call.stdin = Some(key.clone());

    let answer = bed.perform(Call::Process(call), Some(given)).await.unwrap();

    assert_eq!(answer["stdout"], format!("{key} {key} 9\n{key}"));
}
