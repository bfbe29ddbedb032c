//! Finding an operation in an OpenAPI 3.0 or 3.1 or a Swagger 2.0 document.
//!
//! Invariant: references are followed within the document only, and not for ever.
//! Not here: what its parameters look like on the wire (`parameters`).

use openevent_flow::{Fault, FaultKind};
use serde_json::{Map, Value};
use url::Url;

/// Methods a path can have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// References followed from one place.
const REFERENCES_MAX: usize = 16;

/// Which of the two families a document belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// OpenAPI 3.
    OpenApi,
    /// Swagger 2.0.
    Swagger,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Operation<'a> {
    pub(super) document: &'a Value,
    pub(super) family: Family,
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    item: &'a Value,
    pub(super) content: &'a Value,
}

impl<'a> Operation<'a> {
    /// The operation of an id.
    pub(super) fn find(document: &'a Value, id: &str) -> Result<Self, Fault> {
        let is = |member: &str, beginning: &str| {
            document[member].as_str().is_some_and(|version| version.starts_with(beginning))
        };
        let family = if is("openapi", "3.") {
            Family::OpenApi
        } else if is("swagger", "2.") {
            Family::Swagger
        } else {
            return Err(configuration("the document is neither OpenAPI 3 nor Swagger 2.0"));
        };
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let item = resolve(document, item);
            for method in METHODS {
                let content = &item[method];
                if content["operationId"].as_str() == Some(id) {
                    return Ok(Self { document, family, method, path, item, content });
                }
            }
        }
        Err(configuration(&format!("the document has no operation `{id}`")))
    }

    /// Its parameters: those of the path, replaced by its own of the same name and place.
    pub(super) fn parameters(&self) -> Vec<&'a Value> {
        let mut parameters: Vec<&Value> = Vec::new();
        let all =
            [self.item, self.content].into_iter().filter_map(|at| at["parameters"].as_array()).flatten();
        for parameter in all {
            let parameter = resolve(self.document, parameter);
            let is_same =
                |other: &&Value| other["name"] == parameter["name"] && other["in"] == parameter["in"];
            parameters.retain(|other| !is_same(other));
            parameters.push(parameter);
        }
        parameters
    }

    /// The media types of its body by name, and whether it has to be there. OpenAPI 3 only.
    pub(super) fn body(&self) -> Option<(&'a Map<String, Value>, bool)> {
        let body = resolve(self.document, &self.content["requestBody"]);
        Some((body["content"].as_object()?, body["required"] == true))
    }

    /// The media types it takes. Swagger only.
    pub(super) fn consumes(&self) -> Vec<&'a str> {
        let own = self.content["consumes"].as_array();
        let consumes = own.or_else(|| self.document["consumes"].as_array());
        consumes.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Where its path begins: the first server named closest to it, relative to where the document was found.
    pub(super) fn base(&self, found_at: &str) -> Result<String, Fault> {
        let wrong = |_| configuration("the document names a server whose address cannot be read");
        let home = Url::parse(found_at).map_err(wrong)?;
        let base = match self.family {
            Family::OpenApi => home.join(&self.server()).map_err(wrong)?,
            Family::Swagger => self.host(home)?,
        };
        Ok(base.as_str().trim_end_matches('/').to_owned())
    }

    fn server(&self) -> String {
        let servers = [self.content, self.item, self.document].into_iter().map(|at| &at["servers"][0]);
        let Some(server) = servers.into_iter().find(|server| server["url"].is_string()) else {
            return "/".to_owned();
        };
        let mut url = server["url"].as_str().unwrap_or_default().to_owned();
        for (name, variable) in server["variables"].as_object().into_iter().flatten() {
            url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
        }
        url
    }

    fn host(&self, mut home: Url) -> Result<Url, Fault> {
        let wrong = || configuration("the document names a host that cannot be read");
        let schemes: Vec<&str> =
            self.own_or("schemes").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let host = self.document["host"].as_str();
        let scheme = match (schemes.as_slice(), home.scheme()) {
            ([], same) => same,
            (given, same) if given.contains(&same) => same,
            (given, _) if given.contains(&"https") => "https",
            (given, _) => given[0],
        };
        if let Some(host) = host {
            return Url::parse(&format!("{scheme}://{host}{}", self.base_path())).map_err(|_| wrong());
        }
        let scheme = scheme.to_owned();
        home.set_scheme(&scheme).map_err(|()| wrong())?;
        home.join(self.base_path()).map_err(|_| wrong())
    }

    fn own_or(&self, member: &str) -> &'a Value {
        if self.content[member].is_array() { &self.content[member] } else { &self.document[member] }
    }

    fn base_path(&self) -> &'a str {
        self.document["basePath"].as_str().unwrap_or("/")
    }
}

/// What a reference points at; anything else is itself. One that leads nowhere is null.
pub(super) fn resolve<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#');
        value = pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(&Value::Null);
    }
    &Value::Null
}

pub(super) fn configuration(detail: &str) -> Fault {
    Fault::new(FaultKind::Configuration, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base(document: &Value) -> String {
        Operation::find(document, "get").unwrap().base("https://docs.test/v2/api.json").unwrap()
    }

    #[test]
    fn the_server_closest_to_an_operation_is_meant() {
        let with = |root: Value, own: Value| json!({"openapi": "3.1.0", "servers": root, "paths": {"/a": {"get": {"operationId": "get", "servers": own}}}});
        let variables = json!([{"url": "https://{env}.api.test/{v}/", "variables": {"env": {"default": "eu"}, "v": {"default": "1"}}}]);

        assert_eq!(
            base(&with(json!([{"url": "/root"}]), json!([{"url": "https://own.test/x"}]))),
            "https://own.test/x"
        );
        assert_eq!(base(&with(json!([{"url": "/root/"}]), Value::Null)), "https://docs.test/root");
        assert_eq!(base(&with(variables, Value::Null)), "https://eu.api.test/1");
        assert_eq!(base(&with(Value::Null, Value::Null)), "https://docs.test");
    }

    #[test]
    fn an_older_document_names_schemes_host_and_path() {
        let with = |rest: Value| {
            let mut document = json!({"swagger": "2.0", "paths": {"/a": {"get": {"operationId": "get"}}}});
            document.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            document
        };

        assert_eq!(base(&with(json!({}))), "https://docs.test");
        assert_eq!(
            base(&with(json!({"host": "api.test:8", "basePath": "/v1", "schemes": ["http"]}))),
            "http://api.test:8/v1"
        );
        assert_eq!(
            base(&with(json!({"host": "api.test", "schemes": ["http", "https"]}))),
            "https://api.test"
        );
    }

    #[test]
    fn parameters_of_the_path_are_replaced_by_the_operations_own() {
        let document = json!({"openapi": "3.0.3", "components": {"parameters": {"Id": {"name": "id", "in": "path"}}},
            "paths": {"/a/{id}": {"parameters": [{"$ref": "#/components/parameters/Id"}, {"name": "q", "in": "query"}],
                "get": {"operationId": "get", "parameters": [{"name": "q", "in": "query", "required": true}]}}}});
        let operation = Operation::find(&document, "get").unwrap();

        let names: Vec<_> =
            operation.parameters().iter().map(|one| (one["name"].clone(), one["required"].clone())).collect();
        assert_eq!(names, [(json!("id"), Value::Null), (json!("q"), json!(true))]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let document = json!({"openapi": "3.0.3", "paths": {"/a": {"$ref": "#/nowhere"}}});
        let fault = Operation::find(&document, "get").unwrap_err();

        assert_eq!(fault.status, 400);
        assert!(fault.detail.is_some_and(|detail| detail.contains("`get`")));
        assert!(Operation::find(&json!({"asyncapi": "3.0.0"}), "get").is_err());
        assert!(resolve(&json!({"a": {"$ref": "#/a"}}), &json!({"$ref": "#/a"})).is_null());
    }
}
