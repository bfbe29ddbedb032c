//! What a driver is asked for by calls, processes and children, and what is made of its answers.

use openevent_flow::{
    Authentication, Authority, Call, Code, Command, Definition, Input, Language, Outcome, Program, Run, Wait,
};
use serde_json::{Value, json};

use crate::support::{START, parse, started};

/// What the only task of a run asks for; a restored run asks for the same.
fn asked(def: &Definition, input: Value) -> (Run, Command) {
    let mut run = Run::new();
    let step = run.apply(def, START, started(input));
    let [command] = <[Command; 1]>::try_from(step.commands).expect("one command");
    let restored: Run = serde_json::from_value(serde_json::to_value(&run).expect("json")).expect("a run");
    assert_eq!(restored.outstanding(def), std::slice::from_ref(&command));
    (run, command)
}

fn call(tasks: &str, input: Value) -> Call {
    match asked(&parse(tasks), input).1 {
        Command::Call { call, .. } => call,
        other => panic!("not a call: {other:?}"),
    }
}

fn authentication(policy: &str, input: Value) -> Option<Authentication> {
    let endpoint = format!("{{ uri: 'https://x.example', authentication: {{ {policy} }} }}");
    let Call::Http(call) =
        call(&format!("do: [ t: {{ call: http, with: {{ method: get, endpoint: {endpoint} }} }} ]"), input)
    else {
        panic!("not an http call")
    };
    call.authentication
}

/// Answers the only task of a run.
fn outcome(tasks: &str, input: Value, answer: Value) -> Outcome {
    let def = parse(tasks);
    let (mut run, _) = asked(&def, input);
    let step = run.apply(&def, START, Input::Done { op: 1, value: answer });
    match step.commands.last() {
        Some(Command::Finish(outcome)) => outcome.clone(),
        other => panic!("not finished: {other:?}"),
    }
}

#[test]
fn a_policy_is_evaluated_with_the_call() {
    let basic =
        authentication("basic: { username: ada, password: '${ .password }' }", json!({"password": "p"}));
    let bearer = authentication("bearer: { token: '${ .token }' }", json!({"token": 7}));
    let digest = authentication("digest: { username: a, password: b }", json!({}));

    let (username, password) = ("ada".to_owned(), "p".to_owned());
    assert_eq!(basic, Some(Authentication::Basic { username, password }));
    assert_eq!(bearer, Some(Authentication::Bearer { token: "7".to_owned() }));
    assert_eq!(digest, Some(Authentication::Digest { username: "a".to_owned(), password: "b".to_owned() }));
}

#[test]
fn oauth2_says_where_tokens_are_and_oidc_where_that_is_told() {
    let client = "grant: client_credentials, client: { id: me, secret: s }, scopes: [a, b]";
    let plain = authentication(
        &format!("oauth2: {{ authority: 'https://id.example/{{realm}}/', {client} }}"),
        json!({"realm": "r"}),
    );
    let path = authentication(
        &format!("oauth2: {{ authority: 'https://id.example', endpoints: {{ token: /t }}, {client} }}"),
        json!({}),
    );
    let oidc = authentication(&format!("oidc: {{ authority: 'https://id.example', {client} }}"), json!({}));

    let authority = |found: Option<Authentication>| match found {
        Some(Authentication::OAuth2(policy)) => {
            assert_eq!(
                (policy.grant.as_str(), policy.client.id.as_deref()),
                ("client_credentials", Some("me"))
            );
            assert_eq!(policy.scopes, ["a", "b"]);
            policy.authority
        }
        other => panic!("not oauth2: {other:?}"),
    };
    assert_eq!(authority(plain), Authority::Token("https://id.example/r/oauth2/token".to_owned()));
    assert_eq!(authority(path), Authority::Token("https://id.example/t".to_owned()));
    assert_eq!(authority(oidc), Authority::Discovery("https://id.example".to_owned()));
}

#[test]
fn a_named_policy_stands_for_itself() {
    let tasks = "
use: { authentications: { mine: { bearer: { token: abc } } } }
do: [ t: { call: http, with: { method: get, endpoint: { uri: 'https://x', authentication: { use: mine } } } } ]
";
    let Call::Http(call) = call(tasks, json!({})) else { panic!("not an http call") };

    assert_eq!(call.authentication, Some(Authentication::Bearer { token: "abc".to_owned() }));
}

#[test]
fn the_resolved_authorization_is_seen_by_the_output() {
    let tasks = "
do:
  - t:
      call: http
      with: { method: get, endpoint: 'https://x' }
      output: { as: '${ {body: ., scheme: $authorization.scheme} }' }
";
    let answer = json!({"status": 200, "body": 1, "authorization": {"scheme": "Bearer", "parameter": "abc"}});

    assert_eq!(outcome(tasks, json!({}), answer), Outcome::Completed(json!({"body": 1, "scheme": "Bearer"})));
}

#[test]
fn an_operation_is_asked_for_with_its_parameters() {
    let tasks = "
do:
  - t:
      call: openapi
      with:
        document: { endpoint: 'https://x.example/{name}.json' }
        operationId: findPets
        parameters: { status: '${ .wanted }', limit: 5 }
        authentication: { bearer: { token: abc } }
        redirect: true
";
    let Call::OpenApi(call) = call(tasks, json!({"name": "pets", "wanted": "sold"})) else {
        panic!("not an openapi call")
    };

    assert_eq!(call.document.uri, "https://x.example/pets.json");
    assert_eq!(call.operation_id, "findPets");
    assert_eq!(Value::Object(call.parameters), json!({"status": "sold", "limit": 5}));
    assert_eq!(call.authentication, Some(Authentication::Bearer { token: "abc".to_owned() }));
    assert!(call.redirect);
}

#[test]
fn operations_of_this_server_need_no_address() {
    for document in ["{ endpoint: 'openevent:api' }", "{ endpoint: { uri: 'openevent:api' } }"] {
        let tasks =
            format!("do: [ t: {{ call: openapi, with: {{ document: {document}, operationId: a }} }} ]");
        let Call::OpenApi(call) = call(&tasks, json!({})) else { panic!("not an openapi call") };

        assert_eq!(call.document.uri, "openevent:api");
    }
}

#[test]
fn the_answer_of_an_operation_is_read_like_any_other() {
    let tasks = |output: &str| {
        format!(
            "do: [ t: {{ call: openapi, with: {{ document: {{ endpoint: 'https://x' }}, operationId: a, output: {output} }} }} ]"
        )
    };
    let answer =
        json!({"status": 200, "body": [1], "uri": "https://x/a", "method": "get", "headers": {"a": "b"}});

    let content = outcome(&tasks("content"), json!({}), answer.clone());
    let Outcome::Completed(response) = outcome(&tasks("response"), json!({}), answer) else {
        panic!("not completed")
    };
    let Outcome::Faulted(fault) = outcome(&tasks("content"), json!({}), json!({"status": 404})) else {
        panic!("not faulted")
    };

    assert_eq!(content, Outcome::Completed(json!([1])));
    assert_eq!(response["request"], json!({"method": "get", "uri": "https://x/a", "headers": {}}));
    assert_eq!((&response["statusCode"], &response["content"]), (&json!(200), &json!([1])));
    assert_eq!(fault.status, 404);
    assert!(fault.r#type.ends_with("/communication"));
}

#[test]
fn a_shell_keeps_its_own_variables_and_sees_ours() {
    let tasks = r#"
do:
  - t:
      run:
        shell:
          command: 'echo "${HOME} ${1:-x} ${ .name }"'
          arguments: [ a, '${ .count }' ]
          environment: { A: '${ .name }', B: 2, C: null }
          stdin: '${ . }'
        await: true
"#;
    let Call::Process(call) = call(tasks, json!({"name": "Ada", "count": 3})) else {
        panic!("not a process")
    };

    assert_eq!(call.program, Program::Shell("echo \"${HOME} ${1:-x} Ada\"".to_owned()));
    assert_eq!(call.arguments, ["a", "3"]);
    let variables = [("A", "Ada"), ("B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(call.environment, variables);
    assert_eq!(call.stdin.as_deref(), Some(r#"{"count":3,"name":"Ada"}"#));
    assert_eq!(call.wait, Wait::Yes);
}

#[test]
fn a_script_is_taken_as_it_stands_or_from_elsewhere() {
    let inline = "do: [ t: { run: { script: { language: js, code: 'console.log(`${x}`)' } } } ]";
    let from =
        "do: [ t: { run: { script: { language: python, source: { endpoint: 'https://x/{a}.py' } } } } ]";
    let program = |tasks: &str| match call(tasks, json!({"a": "b"})) {
        Call::Process(call) => call.program,
        other => panic!("not a process: {other:?}"),
    };

    let Program::Script { language, code } = program(from) else { panic!("not a script") };
    assert_eq!(
        program(inline),
        Program::Script {
            language: Language::JavaScript,
            code: Code::Inline("console.log(`${x}`)".to_owned())
        }
    );
    assert_eq!(language, Language::Python);
    assert!(matches!(code, Code::From(resource) if resource.uri == "https://x/b.py"));
}

#[test]
fn a_process_gives_what_it_was_asked_for() {
    let given = |gives: &str, code: i32| {
        let tasks = format!("do: [ t: {{ run: {{ shell: {{ command: x }}, return: {gives} }} }} ]");
        outcome(&tasks, json!({}), json!({"code": code, "stdout": "out", "stderr": "no such file\n"}))
    };
    let all = json!({"code": 3, "stdout": "out", "stderr": "no such file\n"});

    assert_eq!(given("stdout", 0), Outcome::Completed(json!("out")));
    assert_eq!(given("stderr", 3), Outcome::Completed(json!("no such file\n")));
    assert_eq!(given("code", 3), Outcome::Completed(json!(3)));
    assert_eq!(given("all", 3), Outcome::Completed(all));
    assert_eq!(given("none", 3), Outcome::Completed(Value::Null));
    let Outcome::Faulted(fault) = given("stdout", 3) else { panic!("not faulted") };
    assert_eq!(
        (fault.status, fault.detail.as_deref()),
        (500, Some("the process ended with code 3: no such file"))
    );
    assert!(fault.r#type.ends_with("/runtime"));
}

#[test]
fn what_is_not_waited_for_gives_the_input() {
    let shell = "do: [ t: { run: { shell: { command: x }, await: false } } ]";
    let child = "do: [ t: { run: { workflow: { namespace: a, name: b, version: '1.0.0' }, await: false } } ]";

    for tasks in [shell, child] {
        assert_eq!(outcome(tasks, json!({"a": 1}), json!(null)), Outcome::Completed(json!({"a": 1})));
    }
}

#[test]
fn another_workflow_is_asked_for_and_gives_its_output() {
    let tasks = |version: &str| {
        format!(
            "do: [ t: {{ run: {{ workflow: {{ namespace: a, name: '${{ .which }}', version: {version}, input: {{ x: '${{ .x }}' }} }} }} }} ]"
        )
    };
    let child = |version: &str| match asked(&parse(&tasks(version)), json!({"which": "b", "x": 1})).1 {
        Command::Child { op: 1, child } => child,
        other => panic!("not a child: {other:?}"),
    };

    let found = child("'1.2.3'");
    assert_eq!(
        (found.namespace.as_str(), found.name.as_str(), found.version.as_deref()),
        ("a", "b", Some("1.2.3"))
    );
    assert_eq!((found.input, found.wait, found.reference.as_str()), (json!({"x": 1}), Wait::Yes, "/do/0/t"));
    assert_eq!(child("latest").version, None);
    assert_eq!(
        outcome(&tasks("latest"), json!({"which": "b"}), json!({"y": 2})),
        Outcome::Completed(json!({"y": 2}))
    );
}

#[test]
fn processes_are_told_with_their_places() {
    let def = parse(
        "do:\n  - a: { run: { shell: { command: ls } } }\n  - b: { run: { script: { language: js, code: x } } }\n",
    );

    let places: Vec<_> = def.processes().iter().map(|issue| (issue.line, issue.path.as_str())).collect();
    assert_eq!(places, [(3, "/do/0/a/run/shell"), (4, "/do/1/b/run/script")]);
}

/// A run with one secret whose call takes its policy from a secret.
fn with_secret(policy: &str, secret: Value) -> Vec<Command> {
    let def = parse(&format!(
        "use: {{ secrets: [ mine ] }}\ndo: [ t: {{ call: http, with: {{ method: get, endpoint: {{ uri: 'https://x.example', authentication: {{ {policy} }} }} }} }} ]"
    ));
    let (mut run, asked) = asked(&def, json!({}));
    let Command::Call { op, call: Call::Secrets { names } } = asked else { panic!("secrets come first") };
    assert_eq!(names, ["mine"]);
    run.apply(&def, START, Input::Done { op, value: json!({"mine": secret}) }).commands
}

#[test]
fn a_policy_may_be_in_a_secret() {
    let policy = |policy: &str, secret: Value| match with_secret(policy, secret).pop() {
        Some(Command::Call { call: Call::Http(call), .. }) => call.authentication,
        other => panic!("not an http call: {other:?}"),
    };
    let (username, password, token) = ("U".to_owned(), "P".to_owned(), "T".to_owned());
    let pair = json!({"username": "U", "password": "P"});

    assert_eq!(
        policy("basic: { use: mine }", pair.clone()),
        Some(Authentication::Basic { username: username.clone(), password: password.clone() })
    );
    assert_eq!(policy("digest: { use: mine }", pair), Some(Authentication::Digest { username, password }));
    for secret in [json!("T"), json!({"token": "T"})] {
        assert_eq!(
            policy("bearer: { use: mine }", secret),
            Some(Authentication::Bearer { token: token.clone() })
        );
    }
    let client = json!({"authority": "https://id", "clientId": "C", "clientSecret": "S", "scopes": "a b"});
    let Some(Authentication::OAuth2(found)) = policy("oidc: { use: mine }", client) else {
        panic!("not oauth2")
    };
    assert_eq!(found.authority, Authority::Discovery("https://id".to_owned()));
    assert_eq!((found.grant.as_str(), found.client.secret.as_deref()), ("client_credentials", Some("S")));
}

#[test]
fn a_secret_that_is_not_there_is_no_authorization() {
    let fault = |policy: &str, secret: Value| match with_secret(policy, secret).pop() {
        Some(Command::Finish(Outcome::Faulted(fault))) => {
            (fault.r#type, fault.status, fault.instance.unwrap_or_default())
        }
        other => panic!("not faulted: {other:?}"),
    };
    let kind = |name: &str| format!("https://serverlessworkflow.io/spec/1.0.0/errors/{name}");

    let other = fault("bearer: { use: other }", json!("T"));
    let incomplete = fault("basic: { use: mine }", json!({"username": "U"}));

    assert_eq!(other, (kind("authorization"), 403, "/do/0/t".to_owned()));
    assert_eq!(incomplete, (kind("configuration"), 400, "/do/0/t".to_owned()));
}
