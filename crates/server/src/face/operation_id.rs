//! What an operation is called in the API description: `listEvents`, `createEventTask`, `cancelRun`.
//!
//! Invariant: made from method and path alone, so nobody has to think of a name, and workflows and generated clients
//! can rely on it. That names are unique is tested on the whole document.
//! Not here: the rest of an operation (see `openapi`).

/// The name of an operation.
pub(super) fn operation_id(path: &str, method: &str) -> String {
    let inside = path.strip_prefix("/api/v1").filter(|rest| !rest.is_empty());
    let parts: Vec<&str> = inside.unwrap_or(path).split('/').filter(|part| !part.is_empty()).collect();
    let Some((last, before)) = parts.split_last() else { return method.to_owned() };
    if is_parameter(last) {
        return verb(method).to_owned() + &ones(&parts);
    }
    let is_many = last.ends_with('s') || matches!(*last, "audit" | "budget");
    let is_list = inside.is_some() && is_many && !last.contains('.');
    match method {
        "get" if is_list => format!("list{}{}", ones(before), many(last)),
        "post" if is_list => format!("create{}{}", ones(before), one(last)),
        "post" => verbatim(last) + &acted_on(before),
        _ => verb(method).to_owned() + &ones(before) + &capitals(last),
    }
}

fn verb(method: &str) -> &str {
    match method {
        "post" => "create",
        "patch" => "update",
        other => other,
    }
}

fn is_parameter(part: &str) -> bool {
    part.starts_with('{')
}

/// `/events/{id}/tasks/{taskId}`: one event's one task.
fn ones(parts: &[&str]) -> String {
    let word = |(n, part): (usize, &&str)| match parts.get(n + 1) {
        Some(next) if is_parameter(next) => one(part),
        _ => singular(&capitals(part)),
    };
    parts.iter().enumerate().filter(|(_, part)| !is_parameter(part)).map(word).collect()
}

/// `/runs/{id}` of `/runs/{id}/cancel` is one run, `/events` of `/events/import` are events.
fn acted_on(parts: &[&str]) -> String {
    match parts.split_last() {
        Some((last, before)) if !is_parameter(last) => ones(before) + &capitals(last),
        _ => ones(parts),
    }
}

fn many(part: &str) -> String {
    match part {
        "audit" => "AuditEntries".to_owned(),
        "budget" => "BudgetItems".to_owned(),
        _ => capitals(part),
    }
}

fn one(part: &str) -> String {
    singular(&many(part))
}

fn singular(word: &str) -> String {
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => word.to_owned(),
    }
}

fn capitals(part: &str) -> String {
    let words = part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

/// An action is a verb already.
fn verbatim(part: &str) -> String {
    let word = capitals(part);
    word[..1].to_ascii_lowercase() + &word[1..]
}

#[cfg(test)]
mod tests {
    use super::operation_id;

    #[test]
    fn operations_are_called_what_one_would_call_them() {
        for (method, path, id) in [
            ("get", "/api/v1", "getApiV1"),
            ("get", "/health", "getHealth"),
            ("get", "/metrics", "getMetrics"),
            ("get", "/api/v1/events", "listEvents"),
            ("post", "/api/v1/events", "createEvent"),
            ("post", "/api/v1/events/batch", "batchEvents"),
            ("get", "/api/v1/events.ics", "getEventsIcs"),
            ("patch", "/api/v1/events/{id}", "updateEvent"),
            ("post", "/api/v1/events/{id}/clone", "cloneEvent"),
            ("get", "/api/v1/events/{id}/tasks", "listEventTasks"),
            ("delete", "/api/v1/events/{id}/tasks/{taskId}", "deleteEventTask"),
            ("get", "/api/v1/events/{id}/budget", "listEventBudgetItems"),
            ("post", "/api/v1/events/{id}/budget", "createEventBudgetItem"),
            ("patch", "/api/v1/events/{id}/budget/{itemId}", "updateEventBudgetItem"),
            ("get", "/api/v1/events/{id}/budget/summary", "getEventBudgetSummary"),
            ("post", "/api/v1/events/{id}/tasks/import", "importEventTasks"),
            ("get", "/api/v1/audit", "listAuditEntries"),
            ("get", "/api/v1/audit/{id}", "getAuditEntry"),
            ("get", "/api/v1/vendors/categories", "listVendorCategories"),
            ("get", "/api/v1/event-types/{*name}", "getEventType"),
            ("post", "/api/v1/signals/{event_id}/replay", "replaySignal"),
            ("post", "/api/v1/workflows/{namespace}/{name}/runs", "createWorkflowRun"),
            ("post", "/api/v1/workflows/validate", "validateWorkflows"),
            ("post", "/api/v1/workflows/{namespace}/{name}/validate", "validateWorkflow"),
        ] {
            assert_eq!(operation_id(path, method), id, "{method} {path}");
        }
    }
}
