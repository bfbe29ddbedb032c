//! Kinds of calls and processes that are not offered: gRPC, AsyncAPI, A2A, MCP, containers.
//!
//! Invariant: they are held to the same rules as everything else, so that a definition valid here is valid elsewhere.
//! Not here: saying that they are not offered (`calls`, `process`).

use super::Reader;
use super::walk::{At, Fields};
use crate::template::whole_expression;

const PROTOCOLS: [&str; 19] = [
    "amqp",
    "amqp1",
    "anypointmq",
    "googlepubsub",
    "http",
    "ibmmq",
    "jms",
    "kafka",
    "mercure",
    "mqtt",
    "mqtt5",
    "nats",
    "pulsar",
    "redis",
    "sns",
    "solace",
    "sqs",
    "stomp",
    "ws",
];

const AGENT_METHODS: [&str; 11] = [
    "message/send",
    "message/stream",
    "tasks/get",
    "tasks/list",
    "tasks/cancel",
    "tasks/resubscribe",
    "tasks/pushNotificationConfig/set",
    "tasks/pushNotificationConfig/get",
    "tasks/pushNotificationConfig/list",
    "tasks/pushNotificationConfig/delete",
    "agent/getAuthenticatedExtendedCard",
];

const CONTEXT_METHODS: [&str; 7] = [
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
];

impl<'n> Reader<'n> {
    pub(super) fn foreign_call(&mut self, kind: &str, with: &Fields<'n>) {
        match kind {
            "grpc" => self.grpc(with),
            "asyncapi" => self.asyncapi(with),
            "a2a" => self.agent(with),
            _ => self.context_protocol(with),
        }
    }

    fn grpc(&mut self, with: &Fields<'n>) {
        with.only(&[&["proto", "service", "method", "arguments"]], &mut self.findings);
        if let Some(at) = with.required("proto", &mut self.findings) {
            self.resource(&at);
        }
        let service = with.required("service", &mut self.findings);
        if let Some(service) = service.and_then(|at| at.map(&mut self.findings)) {
            service.only(&[&["name", "host", "port", "authentication"]], &mut self.findings);
            self.required_template(&service, "name");
            self.host(&service);
            if let Some(at) = service.get("port") {
                let port = at.integer(&mut self.findings);
                if port.is_some_and(|port| !(0..=65_535).contains(&port)) {
                    self.findings.invalid(&at, "must be between 0 and 65535");
                }
            }
            if let Some(at) = service.get("authentication") {
                self.authentication(&at);
            }
        }
        self.required_template(with, "method");
        self.object_member(with, "arguments");
    }

    fn host(&mut self, service: &Fields<'n>) {
        let Some(at) = service.required("host", &mut self.findings) else { return };
        let Some(text) = at.text(&mut self.findings) else { return };
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let inner = text.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'.');
        let ends = text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain);
        if !inner || !ends || text.len() > 63 {
            self.findings.invalid(&at, format!("'{text}' is not the name of a host"));
        }
    }

    fn asyncapi(&mut self, with: &Fields<'n>) {
        let names = [
            "document",
            "channel",
            "operation",
            "server",
            "protocol",
            "message",
            "subscription",
            "authentication",
        ];
        with.only(&[&names], &mut self.findings);
        if let Some(at) = with.required("document", &mut self.findings) {
            self.resource(&at);
        }
        for [one, other] in [["operation", "channel"], ["message", "subscription"]] {
            if with.has(one) == with.has(other) {
                self.findings.invalid(&with.at, format!("needs exactly one of {one}, {other}"));
            }
        }
        for name in ["operation", "channel"] {
            self.text_member(with, name);
        }
        if let Some(server) = with.get("server").and_then(|at| at.map(&mut self.findings)) {
            server.only(&[&["name", "variables"]], &mut self.findings);
            self.required_template(&server, "name");
            self.object_member(&server, "variables");
        }
        if let Some(at) = with.get("protocol") {
            at.one_of(&PROTOCOLS, &mut self.findings);
        }
        if let Some(message) = with.get("message").and_then(|at| at.map(&mut self.findings)) {
            message.only(&[&["payload", "headers"]], &mut self.findings);
            self.object_member(&message, "payload");
            self.object_member(&message, "headers");
        }
        if let Some(subscription) = with.get("subscription").and_then(|at| at.map(&mut self.findings)) {
            self.subscription(&subscription);
        }
        if let Some(at) = with.get("authentication") {
            self.authentication(&at);
        }
    }

    fn subscription(&mut self, fields: &Fields<'n>) {
        fields.only(&[&["filter", "consume", "foreach"]], &mut self.findings);
        self.expression_member(fields, "filter");
        let consume = fields.required("consume", &mut self.findings);
        if let Some(consume) = consume.and_then(|at| at.map(&mut self.findings)) {
            consume.only(&[&["amount", "for", "while", "until"]], &mut self.findings);
            if ["amount", "while", "until"].into_iter().filter(|name| consume.has(name)).count() != 1 {
                self.findings.invalid(&consume.at, "needs exactly one of amount, while, until");
            }
            if let Some(at) = consume.get("amount") {
                at.integer(&mut self.findings);
            }
            if let Some(at) = consume.get("for") {
                self.delay(&at);
            }
            self.expression_member(&consume, "while");
            self.expression_member(&consume, "until");
        }
        if let Some(at) = fields.get("foreach") {
            self.each(&at);
        }
    }

    /// Where the language asks for `${ … }`.
    fn expression_member(&mut self, fields: &Fields<'n>, name: &str) {
        let Some(at) = fields.get(name) else { return };
        let Some(text) = at.text(&mut self.findings) else { return };
        if whole_expression(text).is_none() {
            self.findings.invalid(&at, "must be an expression, written ${ … }");
        } else {
            self.expr(&at);
        }
    }

    fn object_member(&mut self, fields: &Fields<'n>, name: &str) {
        if let Some(at) = fields.get(name)
            && at.map(&mut self.findings).is_some()
        {
            self.template(&at);
        }
    }

    fn object_or_text(&mut self, fields: &Fields<'n>, name: &str) -> Option<At<'n>> {
        let at = fields.get(name)?;
        if at.as_text().is_none() {
            at.map(&mut self.findings)?;
        }
        self.template(&at);
        Some(at)
    }

    fn agent(&mut self, with: &Fields<'n>) {
        with.only(&[&["agentCard", "server", "method", "parameters"]], &mut self.findings);
        if let Some(at) = with.get("agentCard") {
            self.resource(&at);
        }
        if let Some(at) = with.get("server") {
            self.endpoint(&at);
        }
        if let Some(at) = with.required("method", &mut self.findings) {
            at.one_of(&AGENT_METHODS, &mut self.findings);
        }
        if let Some(at) = self.object_or_text(with, "parameters")
            && at.is_map()
            && at.map(&mut self.findings).is_some_and(|fields| fields.len() == 0)
        {
            self.findings.invalid(&at, "needs at least one parameter");
        }
    }

    fn context_protocol(&mut self, with: &Fields<'n>) {
        let names = ["protocolVersion", "method", "parameters", "timeout", "transport", "client"];
        with.only(&[&names], &mut self.findings);
        self.text_member(with, "protocolVersion");
        if let Some(at) = with.required("method", &mut self.findings) {
            at.one_of(&CONTEXT_METHODS, &mut self.findings);
        }
        self.object_or_text(with, "parameters");
        if let Some(at) = with.get("timeout") {
            self.delay(&at);
        }
        if let Some(client) = with.get("client").and_then(|at| at.map(&mut self.findings)) {
            client.only(&[&["name", "version", "description"]], &mut self.findings);
            self.required_template(&client, "name");
            client.required("version", &mut self.findings);
            self.text_member(&client, "version");
            self.text_member(&client, "description");
        }
        let transport = with.required("transport", &mut self.findings);
        if let Some(transport) = transport.and_then(|at| at.map(&mut self.findings)) {
            self.transport(&transport);
        }
    }

    fn transport(&mut self, fields: &Fields<'n>) {
        fields.only(&[&["http", "stdio", "options"]], &mut self.findings);
        if fields.has("http") == fields.has("stdio") {
            self.findings.invalid(&fields.at, "needs exactly one of http, stdio");
        }
        if let Some(http) = fields.get("http").and_then(|at| at.map(&mut self.findings)) {
            http.only(&[&["endpoint", "headers"]], &mut self.findings);
            if let Some(at) = http.required("endpoint", &mut self.findings) {
                self.endpoint(&at);
            }
            self.text_map(&http, "headers");
        }
        if let Some(stdio) = fields.get("stdio").and_then(|at| at.map(&mut self.findings)) {
            stdio.only(&[&["command", "arguments", "environment"]], &mut self.findings);
            self.required_template(&stdio, "command");
            self.texts(&stdio, "arguments");
            self.text_map(&stdio, "environment");
        }
        self.text_map(fields, "options");
    }

    fn text_map(&mut self, fields: &Fields<'n>, name: &str) {
        let Some(map) = fields.get(name).and_then(|at| at.map(&mut self.findings)) else { return };
        for (_, at) in map.all() {
            if at.text(&mut self.findings).is_some() {
                self.template(&at);
            }
        }
    }

    pub(super) fn container(&mut self, fields: &Fields<'n>) {
        let names = [
            "image",
            "name",
            "command",
            "ports",
            "volumes",
            "environment",
            "stdin",
            "arguments",
            "lifetime",
            "pullPolicy",
        ];
        fields.only(&[&names], &mut self.findings);
        self.required_template(fields, "image");
        for name in ["name", "command", "stdin"] {
            self.text_member(fields, name);
        }
        for name in ["ports", "volumes", "environment"] {
            self.object_member(fields, name);
        }
        self.texts(fields, "arguments");
        if let Some(at) = fields.get("pullPolicy") {
            at.one_of(&["ifNotPresent", "always", "never"], &mut self.findings);
        }
        let Some(lifetime) = fields.get("lifetime").and_then(|at| at.map(&mut self.findings)) else { return };
        lifetime.only(&[&["cleanup", "after"]], &mut self.findings);
        let words = ["always", "never", "eventually"];
        let cleanup = lifetime
            .required("cleanup", &mut self.findings)
            .and_then(|at| at.one_of(&words, &mut self.findings));
        match (cleanup, lifetime.get("after")) {
            (Some("eventually"), None) => {
                self.findings.invalid(&lifetime.at, "'after' is required when it is cleaned up eventually");
            }
            (Some("always" | "never"), Some(at)) => {
                self.findings.invalid(&at, "'after' is only for what is cleaned up eventually");
            }
            (_, Some(at)) => {
                self.delay(&at);
            }
            _ => {}
        }
    }
}
