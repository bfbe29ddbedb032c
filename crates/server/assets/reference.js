// The reference page: reads /openapi.json, shows every operation, lets people try it.
// Text from the document is only ever set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEPTH_MAX = 6;
// What people come for first; the rest follows by name.
const TAGS_FIRST = ["Signals", "Workflows", "Runs", "Event types"];
let api = null;

/** Makes an element: el("p", {class: "x"}, "text", child, …). */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text of the document, where `code` stands between backticks. */
function words(text) {
  return (text || "").split("`").map((part, at) => (at % 2 ? el("code", { class: "word" }, part) : part));
}

/** Follows a `$ref` inside the document. */
function resolve(value) {
  for (let hops = 0; value && value.$ref && hops < 10; hops += 1) {
    value = value.$ref.slice(2).split("/").reduce((at, part) => at && at[part.replace(/~1/g, "/").replace(/~0/g, "~")], api);
  }
  return value || {};
}

function typeOf(schema) {
  const found = resolve(schema);
  const types = [].concat(found.type || []).filter((type) => type !== "null");
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (types[0] === "array") return `${typeOf(found.items || {})}[]`;
  if (types.length) return types.join(" or ");
  if (found.type) return "null";
  const options = found.oneOf || found.anyOf || found.allOf;
  if (options) return options.map(typeOf).filter((type) => type !== "null").join(" or ");
  return found.properties ? "object" : "any";
}

/** A value that fits a schema, from its examples where there are any. */
function sample(schema, depth = 0) {
  const found = resolve(schema);
  if (found.example !== undefined) return found.example;
  if (found.examples && found.examples.length) return found.examples[0];
  if (found.default !== undefined) return found.default;
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum[0];
  if (depth > DEPTH_MAX) return null;
  if (found.allOf) return Object.assign({}, ...found.allOf.map((part) => sample(part, depth + 1)));
  const options = found.oneOf || found.anyOf;
  if (options) return sample(options.find((option) => resolve(option).type !== "null") || {}, depth + 1);
  const type = [].concat(found.type || []).find((one) => one !== "null");
  if (type === "object" || found.properties) {
    const members = Object.entries(found.properties || {}).map(([name, member]) => [name, sample(member, depth + 1)]);
    return Object.fromEntries(members);
  }
  if (type === "array") return [sample(found.items || {}, depth + 1)];
  return { string: "text", integer: 1, number: 1.5, boolean: true }[type] ?? {};
}

/** The members of an object, one row each, nested ones dotted. */
function memberRows(schema, prefix = "", depth = 0) {
  const found = resolve(schema);
  const inner = found.items ? resolve(found.items) : found;
  const needed = new Set(inner.required || []);
  if (depth > 2 || !inner.properties) return [];
  return Object.entries(inner.properties).flatMap(([name, member]) => {
    const target = resolve(member);
    const row = el("tr", {},
      el("td", {}, prefix + name, needed.has(name) ? el("span", { class: "needed" }, " required") : null),
      el("td", { class: "kind" }, typeOf(member)),
      el("td", {}, words(member.description || target.description)));
    const suffix = target.type === "array" ? "[]." : ".";
    return [row, ...memberRows(target, prefix + name + suffix, depth + 1)];
  });
}

function table(rows) {
  return rows.length ? el("table", { class: "rows" }, el("tbody", {}, rows)) : null;
}

function jsonOf(content) {
  const kinds = Object.keys(content || {});
  const kind = kinds.find((one) => one.includes("json")) || kinds[0];
  return kind ? { kind, media: content[kind] } : null;
}

function exampleOf(media) {
  if (media.example !== undefined) return media.example;
  const first = Object.values(media.examples || {})[0];
  return first ? resolve(first).value : sample(media.schema || {});
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function parametersOf(item, operation) {
  return [...(item.parameters || []), ...(operation.parameters || [])].map(resolve);
}

function bodyPart(operation) {
  const body = operation.requestBody && jsonOf(resolve(operation.requestBody).content);
  if (!body) return [];
  return [
    el("h4", {}, "Body ", el("span", { class: "kind" }, body.kind)),
    table(memberRows(body.media.schema || {})),
    el("details", { class: "more" }, el("summary", {}, "Example"), el("pre", {}, el("code", {}, pretty(exampleOf(body.media))))),
  ];
}

function answerRow([status, response]) {
  const found = resolve(response);
  const body = jsonOf(found.content);
  const detail = el("td", {}, words(found.description));
  if (body) {
    const members = table(memberRows(body.media.schema || {}));
    const code = el("pre", {}, el("code", {}, pretty(exampleOf(body.media))));
    detail.append(el("details", { class: "more" }, el("summary", {}, body.kind), code, members || ""));
  }
  return el("tr", {}, el("td", {}, el("span", { class: `status ${status < "400" ? "good" : "bad"}` }, status)), detail);
}

function tryForm(path, method, item, operation) {
  const inputs = parametersOf(item, operation).map((parameter) => {
    const input = el("input", { placeholder: parameter.example ?? (parameter.schema && parameter.schema.default) ?? "", "aria-label": parameter.name });
    if (parameter.in === "path" && parameter.example) input.value = parameter.example;
    return { parameter, input };
  });
  const body = operation.requestBody && jsonOf(resolve(operation.requestBody).content);
  const text = body ? el("textarea", { spellcheck: "false", "aria-label": "Body" }) : null;
  if (text) text.value = pretty(exampleOf(body.media));
  const answer = el("div", { class: "answer", "aria-live": "polite" });
  const button = el("button", { class: "send", type: "submit" }, "Send");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    answer.replaceChildren(...(await exchange(path, method, inputs, body && body.kind, text && text.value)));
    button.disabled = false;
  };
  return el("form", { class: "try", onsubmit: send },
    inputs.map(({ parameter, input }) => el("label", {}, parameter.name, input)),
    text ? el("label", { class: "tall" }, "body", text) : null, button, answer);
}

/** Sends one request and shows what came back. */
async function exchange(path, method, inputs, kind, text) {
  const headers = {}, query = new URLSearchParams();
  let target = path;
  for (const { parameter, input } of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value).replace(/%2F/g, "/"));
    else if (value && parameter.in === "query") query.set(parameter.name, value);
    else if (value && parameter.in === "header") headers[parameter.name] = value;
  }
  const key = document.getElementById("key").value.trim();
  if (key.startsWith("oe_")) headers["X-API-Key"] = key;
  else if (key) headers.Authorization = `Bearer ${key}`;
  if (kind) headers["Content-Type"] = kind;
  const url = target + (query.size ? `?${query}` : "");
  const began = performance.now();
  try {
    const response = await fetch(url, { method: method.toUpperCase(), headers, body: kind ? text : undefined });
    const raw = await readSome(response);
    const took = Math.round(performance.now() - began);
    const tone = response.ok ? "good" : "bad";
    const shown = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    return [
      el("p", {}, el("span", { class: `status ${tone}` }, `${response.status} ${response.statusText}`), ` in ${took} ms`),
      el("pre", {}, el("code", {}, formatted(raw))),
      el("details", { class: "more" }, el("summary", {}, "Headers and request"), el("pre", {}, el("code", {}, `${shown}\n\n${curl(url, method, headers, kind && text)}`))),
    ];
  } catch (error) {
    return [el("p", { class: "status bad" }, `No answer: ${error.message}`)];
  }
}

/** Reads an answer; of one without an end, what comes in the first seconds. */
async function readSome(response) {
  const endless = (response.headers.get("content-type") || "").startsWith("text/event-stream");
  if (!endless || !response.body) return response.text();
  const reader = response.body.getReader(), decoder = new TextDecoder();
  const stop = setTimeout(() => reader.cancel(), 5000);
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += decoder.decode(part.value, { stream: true });
  clearTimeout(stop);
  return text;
}

function formatted(raw) {
  try { return JSON.stringify(JSON.parse(raw), null, 2); } catch { return raw; }
}

function curl(url, method, headers, body) {
  const quoted = (text) => `'${text.replace(/'/g, `'\\''`)}'`;
  const secret = (name) => (/authorization|x-api-key/i.test(name) ? "$KEY" : null);
  const lines = Object.entries(headers).map(([name, value]) => {
    const hidden = secret(name);
    return hidden ? `-H "${name}: ${/^bearer /i.test(value) ? "Bearer " : ""}${hidden}"` : `-H ${quoted(`${name}: ${value}`)}`;
  });
  if (body) lines.push(`-d ${quoted(body)}`);
  return [`curl -X ${method.toUpperCase()} ${quoted(location.origin + url)}`, ...lines].join(" \\\n  ");
}

function anchor(path, method) {
  return `${method}-${path}`.replace(/[^a-z0-9]+/gi, "-").toLowerCase();
}

function operationCard(path, method, item, operation) {
  const scopes = ((operation.security || [])[0] || {}).apiKey;
  const rows = parametersOf(item, operation).map((parameter) => el("tr", {},
    el("td", {}, parameter.name, parameter.required ? el("span", { class: "needed" }, " required") : null),
    el("td", { class: "kind" }, `${parameter.in} · ${typeOf(parameter.schema || {})}`),
    el("td", {}, words(parameter.description))));
  const card = el("details", { class: "operation", id: anchor(path, method) },
    el("summary", {}, el("span", { class: `verb ${method}` }, method), el("span", { class: "path" }, path), el("span", { class: "title" }, words(operation.summary))));
  // Filled when first opened, so that a long document shows at once.
  card.addEventListener("toggle", () => {
    if (!card.open || card.querySelector(".inside")) return;
    card.append(el("div", { class: "inside" },
      operation.description ? el("p", {}, words(operation.description)) : null,
      scopes ? el("p", {}, "Needs ", scopes.length ? scopes.map((scope) => el("span", { class: "scope" }, scope)) : "any valid key") : el("p", {}, "Needs no key"),
      rows.length ? [el("h4", {}, "Parameters"), table(rows)] : null,
      bodyPart(operation),
      el("h4", {}, "Answers"), table(Object.entries(operation.responses || {}).map(answerRow)),
      el("h4", {}, "Try it"), tryForm(path, method, item, operation)));
  });
  return card;
}

function errorTable() {
  const schema = resolve({ $ref: "#/components/schemas/Failure" });
  const codes = resolve(resolve(schema.properties && schema.properties.error).properties?.code).enum || [];
  const titles = schema["x-codes"] || {};
  const rows = codes.map((code) => {
    const { status, title } = titles[code] || {};
    return el("tr", { id: code }, el("td", {}, code), el("td", { class: "kind" }, status || ""), el("td", {}, title || ""));
  });
  return [el("h2", {}, "Error codes"), table(rows)];
}

function place(tag) {
  const at = TAGS_FIRST.indexOf(tag);
  return at < 0 ? TAGS_FIRST.length : at;
}

function show() {
  const reference = document.getElementById("reference"), index = document.getElementById("index");
  document.getElementById("version").textContent = api.info.version;
  const tags = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = (item[method].tags || ["Other"])[0];
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push({ path, method, item, operation: item[method] });
    }
  }
  reference.replaceChildren(el("h1", {}, api.info.title), el("p", { class: "intro" }, words(api.info.description)));
  for (const [tag, operations] of [...tags].sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b))) {
    index.append(el("h2", {}, tag));
    reference.append(el("h2", {}, tag));
    for (const { path, method, item, operation } of operations) {
      const text = `${method} ${path} ${operation.summary || ""} ${operation.description || ""} ${tag}`.toLowerCase();
      const link = el("a", { href: `#${anchor(path, method)}`, onclick: () => open(anchor(path, method)) },
        el("span", { class: `verb ${method}` }, method), el("span", {}, words(operation.summary || path)));
      link.dataset.text = text;
      const card = operationCard(path, method, item, operation);
      card.dataset.text = text;
      index.append(link);
      reference.append(card);
    }
  }
  reference.append(...errorTable());
  if (location.hash) open(decodeURIComponent(location.hash.slice(1)));
}

function open(id) {
  closeMenu();
  const card = document.getElementById(id);
  if (!card) return;
  if ("open" in card) card.open = true;
  card.scrollIntoView();
}

function closeMenu() {
  document.getElementById("contents").classList.remove("open");
  document.getElementById("menu").setAttribute("aria-expanded", "false");
}

document.getElementById("menu").addEventListener("click", (event) => {
  const isOpen = document.getElementById("contents").classList.toggle("open");
  event.currentTarget.setAttribute("aria-expanded", String(isOpen));
});
document.getElementById("credential").addEventListener("submit", (event) => event.preventDefault());
document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const node of document.querySelectorAll("[data-text]")) node.classList.toggle("hidden", !node.dataset.text.includes(wanted));
});

fetch("/openapi.json").then((response) => response.json()).then((found) => { api = found; show(); }).catch((error) => {
  document.getElementById("reference").replaceChildren(el("p", { class: "status bad" }, `The document could not be read: ${error.message}`));
});
