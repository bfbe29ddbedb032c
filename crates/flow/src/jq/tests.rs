//! Expressions: results, and how each way of never ending is cut off.

use serde_json::{Value, json};

use super::*;

struct Nothing;

impl Scope for Nothing {
    fn var(&self, _: &str) -> Val {
        Val::Null
    }
}

fn eval(source: &str, input: &Value) -> Result<Value, String> {
    eval_in(fuel::STEPS_MAX, source, input)
}

fn eval_in(steps: u64, source: &str, input: &Value) -> Result<Value, String> {
    let expr = Expr::compile(source, &|_| false)?;
    let input = Val::from_json(input).map_err(|cut| cut.reason().to_owned())?;
    let result = fuel::metered(steps, || expr.eval_within(input, &Nothing));
    let result = result.unwrap_or_else(|cut| Err(Failure::new(cut.reason())));
    result.map(|val| val.to_json()).map_err(|failure| failure.0)
}

/// Expression, input, output.
const CASES: &[(&str, &str, &str)] = &[
    (".a.b", r#"{"a": {"b": 1}}"#, "1"),
    (".a[1:]", r#"{"a": [1, 2, 3]}"#, "[2, 3]"),
    ("6 / 2", "null", "3"),
    ("7 / 2", "null", "3.5"),
    ("1 + 2.5", "null", "3.5"),
    ("9223372036854775807 + 1", "null", "9223372036854775808.0"),
    ("\"a\" * 3", "null", r#""aaa""#),
    ("{a: {b: 1}} * {a: {c: 2}}", "null", r#"{"a": {"b": 1, "c": 2}}"#),
    ("[.[] | select(. > 1)]", "[1, 2, 3]", "[2, 3]"),
    ("map(. * 2) | add", "[1, 2, 3]", "12"),
    ("to_entries", r#"{"b": 1, "a": 2}"#, r#"[{"key": "a", "value": 2}, {"key": "b", "value": 1}]"#),
    ("with_entries(.value += 1)", r#"{"a": 1}"#, r#"{"a": 2}"#),
    ("sort_by(.n) | map(.n)", r#"[{"n": 3}, {"n": 1}, {"n": 2}]"#, "[1, 2, 3]"),
    ("group_by(.k) | map(length)", r#"[{"k": 1}, {"k": 2}, {"k": 1}]"#, "[2, 1]"),
    ("unique", "[3, 1, 3]", "[1, 3]"),
    ("[limit(3; range(10))]", "null", "[0, 1, 2]"),
    ("[range(0; 10; 3)]", "null", "[0, 3, 6, 9]"),
    (".[0] as {a: $x} | $x + 1", r#"[{"a": 1}]"#, "2"),
    ("try error(\"x\") catch .", "null", r#""x""#),
    (".a // \"none\"", "{}", r#""none""#),
    ("\"x\\(1 + 1)y\"", "null", r#""x2y""#),
    ("test(\"^a.c$\")", r#""abc""#, "true"),
    ("gsub(\"[aeiou]\"; \"*\")", r#""hello""#, r#""h*ll*""#),
    ("[match(\"(?<x>l+)\").captures[0].name]", r#""hello""#, r#"["x"]"#),
    ("[scan(\"[0-9]+\") | tonumber]", r#""a1b22""#, "[1, 22]"),
    ("split(\",\") | join(\"-\")", r#""a,b""#, r#""a-b""#),
    ("@base64", r#""hi""#, r#""aGk=""#),
    ("@csv", r#"["a\"b", 1, null]"#, r#""\"a\"\"b\",1,""#),
    ("@uri", r#""a b""#, r#""a%20b""#),
    ("fromdateiso8601", r#""2024-01-01T00:00:00Z""#, "1704067200"),
    ("1704067200 | todate", "null", r#""2024-01-01T00:00:00Z""#),
    ("1704067200 | strftime(\"%Y\")", "null", r#""2024""#),
    ("del(.a)", r#"{"a": 1, "b": 2}"#, r#"{"b": 2}"#),
    (".a[2] = 1", "null", r#"{"a": [null, null, 1]}"#),
    (".[] += 1", "[1, 2]", "[2, 3]"),
    ("paths(type == \"number\")", r#"{"a": [1]}"#, r#"["a", 0]"#),
    ("[paths]", r#"{"a": [1]}"#, r#"[["a"], ["a", 0]]"#),
    ("walk(if type == \"number\" then . + 1 else . end)", "[1, [2]]", "[2, [3]]"),
    ("[.. | numbers]", "[1, [2]]", "[1, 2]"),
    ("tojson | fromjson", r#"{"a": [1, 2.5, null]}"#, r#"{"a": [1, 2.5, null]}"#),
    ("ascii_upcase", r#""abc""#, r#""ABC""#),
    ("[.[] | tostring]", r#"[1, "a", null]"#, r#"["1", "a", "null"]"#),
    ("keys", r#"{"b": 1, "a": 1}"#, r#"["a", "b"]"#),
    ("has(\"a\"), has(\"z\")", r#"{"a": 1}"#, "[true, false]"),
    ("any, all", "[true, false]", "[true, false]"),
    ("flatten", "[1, [2, [3]]]", "[1, 2, 3]"),
    ("index(\"b\"), rindex(\"b\"), indices(\"b\")", r#""abcb""#, "[1, 3, [1, 3]]"),
    ("contains({a: [1]})", r#"{"a": [1, 2]}"#, "true"),
    ("inside(\"abc\")", r#""b""#, "true"),
    ("[splits(\", *\")]", r#""a, b,c""#, r#"["a", "b", "c"]"#),
    ("ltrimstr(\"a\") | rtrimstr(\"c\")", r#""abc""#, r#""b""#),
    ("reduce .[] as $x (0; . + $x)", "[1, 2]", "3"),
    ("[foreach .[] as $x (0; . + $x)]", "[1, 2]", "[1, 3]"),
    ("label $out | 1, break $out, 2", "null", "1"),
    ("def f(x): x * 2; f(3)", "null", "6"),
    ("def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; 10 | fac", "null", "3628800"),
    ("first(range(5; 10)), last(range(3)), nth(1; range(9))", "null", "[5, 2, 1]"),
    ("[.[] | isnan]", "[1, null]", "[false, false]"),
    ("nan | isnan", "null", "true"),
    ("[nan, 1] | sort | .[1]", "null", "1"),
    ("infinite", "null", "1.7976931348623157e308"),
    ("empty", "1", "null"),
    ("1, 2", "null", "[1, 2]"),
    ("[1, [2]] | getpath([1, 0])", "null", "2"),
    ("[tostream] | fromstream(.[])", r#"{"a": [1]}"#, r#"{"a": [1]}"#),
    ("min_by(.a).a, (max_by(.a).a)", r#"[{"a": 2}, {"a": 1}]"#, "[1, 2]"),
    ("[.[] | floor, sqrt]", "[4]", "[4, 2]"),
    ("IN(1, 2)", "2", "true"),
    ("if . then 1 else 2 end", "0", "1"),
    ("-(1)", "null", "-1"),
    ("5 % 3, -5 % 3", "null", "[2, -2]"),
];

#[test]
fn expressions_give_what_jq_gives() {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect(text);
    for (source, input, expected) in CASES {
        assert_eq!(eval(source, &json(input)), Ok(json(expected)), "{source}");
    }
}

#[test]
fn plain_paths_give_what_the_interpreter_gives() {
    let input = json!({"a": {"b": [1, {"c": null}]}, "s": "text", "n": 5});
    for source in [
        ".",
        ".a",
        ".a.b",
        ".a.b[0]",
        ".a.b[1].c.d",
        ".a.b[-1]",
        ".a.b[9]",
        ".\"a\".b",
        ".s.x",
        ".n[0]",
        ".s[0]",
        ".a[0]",
        ".[\"a\"]",
        ".gone.x",
    ] {
        let expr = Expr::compile(source, &|_| false);
        assert!(expr.is_ok_and(|expr| matches!(expr.code, Code::Path(_))), "{source}");
        assert_eq!(eval(source, &input), eval(&format!("{source} | ."), &input), "{source}");
    }
}

#[test]
fn large_integers_pass_through_unchanged() {
    let big = json!({"a": u64::MAX, "b": i64::MIN, "c": 3.0});

    assert_eq!(eval(".", &big), Ok(big));
}

const ENDLESS: &[&str] = &[
    "def f: f; f",
    "def f: f | f; f",
    "def f: 1 + f; f",
    "def f: f, f; f",
    "def f: try error(\"x\") catch f; f",
    "def f: (try f catch f), f; f",
    "[range(1e12)]",
    "[range(infinite)]",
    "last(range(1e18))",
    "last(repeat(1))",
    "last(range(1e18)?)",
    "[repeat(\"x\")]",
    "reduce range(1e18) as $i (0; .)",
    "reduce range(1e18) as $i (0; . + 1)",
    "foreach range(1e18) as $i (0; .; empty)",
    "reduce range(1e6) as $i (0; [.])",
    "reduce range(200) as $i ([0]; . + .)",
    "reduce range(200) as $i (\"x\"; . + .)",
    "reduce range(200) as $i (0; [., .]) | tojson",
    "reduce range(200) as $i (0; {a: ., b: .}) | [..] | length",
    "\"x\" * 1e12",
    "\"x\" * 1e300",
    "[limit(1e12; repeat(0))]",
    "until(false; .)",
    "[while(true; .)]",
    "def f: recurse(f); last(f)",
    "[recurse([.])]",
    "isempty(range(1e18) | empty)",
    "any(range(1e18); false)",
    ". as $x | [range(1e4)] | [combinations(9)]",
    "[range(3e3)] | [.[] as $a | .[] as $b | .[] as $c | $a]",
    "[range(1e5)] | combinations(2) | empty",
    "def f(g): g | f(g); f(.)",
    "def f(g): f(g | g); f(.)",
    "def f(g): def h: g; f(h); f(1)",
    "[(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|(.,.,.,.,.,.,.,.)|empty]",
    "def f: path(f); f",
    "def f: .a | f; f |= 1",
    "def f: .a | f; path(f)",
    "path(reduce range(1e9) as $i (.; .a))",
    "path(last(repeat(.a)))",
    "def f(g): f(g); f(.)",
    "def f(g): def h: g | g; f(h); f(.)",
    "def f($a; g): f($a + 1; g | .); f(1; .)",
    "def f(g): g, f(g + 1); last(f(1))",
    "[recurse(.a; true)]",
    "def f: (1, f) + 0; last(f)",
    "[splits(\"a{1000}{1000}{1000}\")]",
    "(\"a\" * 100000) | test(\"(a*)*(a*)*b{500}\")",
    "label $f | def g: g, break $f; g",
    "[limit(50000; repeat(\"abcdefgh\"))] | [.[] as $x | .[] | select(. == $x)] | length",
    "([range(1e5)] | map(tostring)) as $a | [range(1e5)] | map($a | sort) | length",
    "[range(1e5)] | sort_by(def f: f; f)",
    "[1e9 | def f: if . > 0 then . - 1 | f else . end; f]",
    ".[1e9] = 1",
    "[range(1e3)] as $a | [range(1e3)] as $b | reduce range(1e6) as $i (0; . + if $a == $b then 1 else 0 end)",
    "(\"x\" * 1e6) as $s | [range(1e5) | $s | ascii_downcase]",
    "(\"x\" * 1e6) as $s | [range(1e5) | $s | startswith($s)]",
    "(\"x\" * 1e6) as $s | [range(1e5) | $s | length]",
    "(\"x\" * 1e6) as $s | [range(1e5) | try error($s) catch .]",
    "(\"x\" * 1e6) as $s | [range(1e5) | try ({} | .[0 | error($s)]) catch .]",
    "(\"x\" * 1e6) as $s | [range(1e5) | [$s] | tojson]",
    "(\"x\" * 1e6) as $s | [range(1e5) | $s | @base64]",
    "(\"x\" * 1e6) as $s | [range(1e5) | $s | explode]",
    "(\"x\" * 1e6) as $s | reduce range(1e5) as $i ({}; .[$s + \"\\($i)\"] = 1)",
];

#[test]
fn expressions_that_never_end_are_cut_off() {
    for source in ENDLESS {
        assert!(eval_in(50_000, source, &Value::Null).is_err(), "{source} ended");
    }
}

/// Takes minutes without optimisation; run it with `--release -- --ignored`.
#[test]
#[ignore = "slow without optimisation"]
fn the_full_budget_is_used_up_quickly() {
    for source in ENDLESS {
        let started = std::time::Instant::now();
        assert!(eval(source, &Value::Null).is_err(), "{source} ended");
        let took = started.elapsed();
        println!("{took:?} {source}");
        assert!(took.as_secs() < 2, "{source} took {took:?}");
    }
}

#[test]
fn the_same_expression_is_cut_off_after_the_same_steps() {
    let source = "[limit(100; range(1e18))] | length as $n | def f: . + 1 | f; try f catch $n";

    assert_eq!(eval(source, &Value::Null), eval(source, &Value::Null));
}

#[test]
fn an_expression_cannot_reach_the_outside() {
    for source in [
        "now",
        "env",
        "$ENV",
        "$ENV.HOME",
        "input",
        "inputs",
        "halt",
        "halt_error",
        "localtime",
        "input_filename",
    ] {
        assert!(eval(source, &Value::Null).is_err(), "{source}");
    }
    assert!(eval("import \"a\" as a; 1", &Value::Null).is_err());
    assert_eq!(eval("debug", &json!(1)), Ok(json!(1)));
}

#[test]
fn wrong_syntax_is_told_with_its_place() {
    assert_eq!(
        eval(".a |", &Value::Null),
        Err("syntax error: expected term at the end of the expression".to_owned())
    );
    assert!(eval("foo(1)", &Value::Null).is_err_and(|words| words.contains("undefined function foo/1")));
    assert!(eval("$x", &Value::Null).is_err_and(|words| words.contains("undefined variable $x")));
}

#[test]
fn deeply_nested_source_is_refused() {
    let sources = [
        "(".repeat(8_000),
        "-".repeat(8_000) + "1",
        "[".repeat(8000),
        ".|".repeat(4000) + ".",
        "try ".repeat(2000) + "1",
        "1,".repeat(4000) + "1",
        ". as $x|".repeat(800) + "1",
        "if 1 then ".repeat(700),
        "def f:".repeat(1000),
        "reduce ".repeat(1000),
        "\"\\(".repeat(2000),
        "1 as [".repeat(1000),
        "1 as {a:".repeat(1000),
        ".a?".repeat(2500),
        "..".repeat(4000),
        "1 // ".repeat(1600),
    ];
    for source in sources {
        assert!(Expr::compile(&source, &|_| false).is_err());
    }
}
