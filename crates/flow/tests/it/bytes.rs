//! Arbitrary bytes: nothing panics. The same entry points are fuzzed in `fuzz/`.

use openevent_flow::fuzzing;
use proptest::collection::vec;
use proptest::prelude::*;

const PIECES: &[&str] = &[
    ".",
    ".a",
    ".b[]",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "|",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "//",
    "==",
    "<",
    "and",
    "or",
    "not",
    "if",
    "then",
    "else",
    "end",
    "try",
    "catch",
    "reduce",
    "foreach",
    "as",
    "$x",
    "$input",
    "def f:",
    ";",
    "f",
    "1",
    "1e9",
    "-1",
    "0",
    "\"s\"",
    "\"\\(",
    ")\"",
    "?",
    "..",
    "|=",
    "+=",
    "=",
    "map(",
    "select(",
    "length",
    "keys",
    "add",
    "sort",
    "sort_by(",
    "group_by(",
    "limit(3;",
    "first(",
    "range(",
    "repeat(",
    "recurse",
    "recurse(",
    "until(",
    "path(",
    "paths",
    "to_entries",
    "from_entries",
    "tojson",
    "fromjson",
    "test(\"a+\")",
    "split(\",\")",
    "join(\"-\")",
    "explode",
    "implode",
    "splits(\"b\")",
    "gsub(\"l\";",
    "tostring",
    "tonumber",
    "error",
    "empty",
    "null",
    "true",
    ":",
    ".[1:]",
    ".[:-1]",
    "del(",
    "walk(",
    "env",
    "now",
    "input",
    "@base64",
    "@csv",
    "getpath([",
    "label $out |",
    "break $out",
    "infinite",
    "nan",
    "flatten",
    "unique",
    "min",
    "max",
    "reverse",
    "contains(",
    "index(",
    "todate",
    "strftime(\"%Y\")",
    "mktime",
    "ltrimstr(",
    "ascii_downcase",
    "indices(",
    "splits(",
    "combinations",
    "transpose",
    "tostream",
    "bsearch(",
    "@uri",
    "@html",
    "significand",
    "pow(2;",
    "log",
    "floor",
    "gmtime",
    "as [$x, $y] |",
    "as {a: $x} |",
    "import \"a\" as a;",
    "include \"a\";",
    "# comment",
    "\n",
];

/// Pieces of jq, put together without sense.
fn jq() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES);
    vec(piece, 1..24).prop_map(|pieces| pieces.join(" "))
}

/// Lines of YAML, put together without sense.
fn yaml() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "document: { dsl: '1.0.3', namespace: a, name: b, version: 0.1.0 }",
        "do:",
        "  - a:",
        "  - b:",
        "      set: { a: 1 }",
        "      set: ${ .a }",
        "      call: http",
        "      with: { method: get, endpoint: https://x/{a} }",
        "      wait: PT1S",
        "      do:",
        "        - c:",
        "            set: { b: ${ .n } }",
        "      then: a",
        "      then: end",
        "      if: .a == 1",
        "      listen: { to: { any: [], until: length > 2 } }",
        "      try:",
        "      catch: { retry: { delay: PT1S } }",
        "      for: { in: .b }",
        "      raise: { error: { type: https://x, status: 500 } }",
        "use: { errors: {} }",
        "schedule: { on: { one: { with: { type: t } } } }",
        "input: { schema: { document: { type: object } } }",
        "output: { as: .a }",
        "timeout: { after: PT1H }",
        "evaluate: { mode: loose }",
        "&a",
        "*a",
        "- [",
        "? x",
        "|",
        ">",
        "      emit: { event: { with: { source: https://x, type: t } } }",
        "      fork: { branches: [] }",
        "\t",
        "---",
        "...",
    ]);
    vec(line, 1..14).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_as_a_definition(data in vec(any::<u8>(), 0..400)) {
        fuzzing::definition(&data);
    }

    #[test]
    fn any_lines_are_read_as_a_definition(source in yaml()) {
        fuzzing::definition(source.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_as_an_expression(data in vec(any::<u8>(), 0..100)) {
        fuzzing::expression(&data);
    }

    #[test]
    fn any_words_are_read_as_an_expression(source in jq()) {
        fuzzing::expression(source.as_bytes());
    }
}

/// Longer runs of the same, for a quiet machine: `cargo test --release -- --ignored`.
#[test]
#[ignore = "slow"]
fn many_words_are_read_as_expressions() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200_000,
        ..ProptestConfig::default()
    });
    let result = runner.run(&jq(), |source| {
        fuzzing::expression(source.as_bytes());
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
}
