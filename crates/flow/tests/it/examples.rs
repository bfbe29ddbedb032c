//! Every official example is accepted, perhaps with parts that are not offered, or refused for a stated reason.

use std::fmt::Write;
use std::path::Path;

use openevent_flow::{Definition, Issue};

fn listed(issues: &[Issue]) -> String {
    issues.iter().fold(String::new(), |mut list, issue| {
        let _ = write!(list, "\n    {issue}");
        list
    })
}

#[test]
fn every_official_example_is_accepted_or_refused_for_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut report = String::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let result = match Definition::parse(&std::fs::read_to_string(&path).unwrap()) {
            Ok(parsed) if !parsed.missing.is_empty() => {
                let addresses = parsed.missing.iter().map(|missing| missing.resource.uri.as_str());
                format!("accepted, with {}", addresses.collect::<Vec<_>>().join(", "))
            }
            Ok(parsed) if !parsed.definition.processes().is_empty() => {
                "accepted, where processes are switched on".to_owned()
            }
            Ok(parsed) if parsed.warnings.is_empty() => "accepted".to_owned(),
            Ok(parsed) => format!("accepted, not offered:{}", listed(&parsed.warnings)),
            Err(issues) => format!("refused:{}", listed(&issues)),
        };
        let _ = writeln!(report, "{name}: {result}");
    }
    insta::assert_snapshot!(report);
}
