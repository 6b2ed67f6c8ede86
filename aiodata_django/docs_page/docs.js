// The page at /docs/: reads the OpenAPI document that the caller's role gets, and tries requests.
// Nothing is put into the page as markup: names and comments of a database are texts.

import { operators, example, body, query, shell } from "./request.js";

const rest = new URL(document.body.dataset.rest, location.href).href.replace(/\/$/, "");
const byId = (id) => document.getElementById(id);
let api = null;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made) made[name] = value;
    else if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function headers(more = {}) {
  const found = { ...more };
  const token = byId("token").value.trim();
  const schema = byId("schema").value.trim();
  if (token) found.Authorization = `Bearer ${token}`;
  if (schema) found[("Content-Type" in found) ? "Content-Profile" : "Accept-Profile"] = schema;
  return found;
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

async function load() {
  trouble("");
  try {
    const answer = await fetch(`${rest}/`, { headers: headers({ Accept: "application/openapi+json" }) });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.message || `${answer.status}`);
    if (!found.paths) throw new Error("The root does not answer with an OpenAPI document.");
    api = found;
  } catch (error) {
    api = { info: {}, paths: {}, definitions: {}, parameters: {} };
    trouble(`The API cannot be described: ${error.message}`);
  }
  const title = api.info.title || "API";
  document.title = title;
  byId("title").textContent = title;
  byId("about").textContent = api.info.description || "";
  list();
  show();
}

function paths(kind) {
  const calls = kind === "functions";
  return Object.keys(api.paths).filter((path) => path !== "/" && path.startsWith("/rpc/") === calls).sort();
}

const nameOf = (path) => decodeURIComponent(path.replace(/^\/(rpc\/)?/, ""));
const chosen = () => decodeURIComponent(location.hash.slice(1));

function list() {
  const wanted = byId("search").value.trim().toLowerCase();
  for (const kind of ["tables", "functions"]) {
    const found = paths(kind).filter((path) => nameOf(path).toLowerCase().includes(wanted));
    byId(kind).replaceChildren(...found.map((path) => element("li", {}, link(path))));
    byId(kind).previousElementSibling.hidden = !found.length;
  }
}

function link(path) {
  const made = element("a", { href: `#${encodeURIComponent(path)}`, textContent: nameOf(path) });
  if (chosen() === path) made.setAttribute("aria-current", "page");
  return made;
}

function show() {
  const path = chosen();
  const item = api.paths[path];
  const main = byId("main");
  if (!item) {
    main.replaceChildren(element("p", { className: "comment",
      textContent: "Choose a table or a function: what is listed is what your token may use." }));
    return;
  }
  const first = Object.values(item)[0];
  const comment = [first.summary, first.description].filter(Boolean).join("\n");
  main.replaceChildren(
    element("h2", { textContent: nameOf(path) }),
    element("p", { className: "comment", textContent: comment }),
    columns(path, item),
    attempt(path, item),
  );
}

function definition(path, item) {
  if (!path.startsWith("/rpc/")) return api.definitions[nameOf(path)];
  return item.post.parameters.find((parameter) => parameter.in === "body").schema;
}

function columns(path, item) {
  const described = definition(path, item);
  const required = new Set(described.required || []);
  const mark = path.startsWith("/rpc/") ? "required" : "not null";
  const rows = Object.entries(described.properties || {}).map(([name, property]) => {
    const note = (property.description || "").replace(/<[pf]k[^>]*\/>/g, "").replace(/(^|\n\n)Note:\n/, "$1");
    const marks = required.has(name) ? [element("span", { className: "mark", textContent: mark })] : [];
    const type = property.enum ? `${property.format}: ${property.enum.join(", ")}` : property.format;
    const fallback = property.default === undefined ? "" : JSON.stringify(property.default);
    return element("tr", {}, element("td", {}, element("code", { textContent: name }), ...marks),
      element("td", { textContent: type }), element("td", { className: "mono", textContent: fallback }),
      element("td", { textContent: note }));
  });
  if (!rows.length) return element("p", { className: "comment", textContent: "No arguments." });
  const heads = ["Name", "Type", "Default", "Comment"].map((text) => element("th", { textContent: text, scope: "col" }));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  return element("div", { className: "scroll" }, table);
}

// ---------------------------------------------------------------- trying it

function attempt(path, item) {
  const methods = Object.keys(item).map((method) => method.toUpperCase());
  const method = element("select", { id: "method" }, ...methods.map((name) => element("option", { textContent: name })));
  const fields = element("div");
  const line = element("pre", { id: "request" });
  const answer = element("section", { id: "answer", "aria-live": "polite" });
  const form = element("form", { className: "try" },
    element("div", { className: "row" }, element("label", {}, "Method ", method),
      element("button", { className: "send", textContent: "Send" })),
    fields, line, answer);
  const current = () => build(path, method.value, form);
  const refresh = () => { line.textContent = shell(current()); };
  const redraw = () => { fields.replaceChildren(...inputs(path, item, method.value, refresh)); refresh(); };
  method.addEventListener("change", redraw);
  form.addEventListener("input", refresh);
  byId("caller").oninput = refresh;
  form.addEventListener("submit", (event) => { event.preventDefault(); send(current(), answer); });
  redraw();
  return element("section", {}, element("h3", { textContent: "Try it" }), form);
}

function inputs(path, item, method, refresh) {
  const properties = definition(path, item).properties || {};
  const call = path.startsWith("/rpc/");
  const made = [];
  if (call && method === "GET") made.push(args(properties));
  if (!call && method !== "POST") made.push(filters(Object.keys(properties), refresh));
  if (!call && method === "GET") {
    made.push(fieldRow([["select", "*"], ["order", ""], ["limit", "10"], ["offset", ""]]));
  }
  if (method === "POST" || method === "PATCH") made.push(bodyField(properties));
  if (method !== "GET") made.push(preferField(call, method));
  made.push(fieldRow([["more", ""]], { more: "More of the query string" }));
  return made;
}

function fieldRow(pairs, labels = {}) {
  const made = pairs.map(([name, value]) =>
    element("label", {}, labels[name] || name, element("input", { name, value, spellcheck: false, size: name === "more" ? 40 : 10 })));
  return element("div", { className: "row" }, ...made);
}

function args(properties) {
  const made = Object.entries(properties).map(([name, property]) =>
    element("label", {}, name, element("input", { className: "argument", name, placeholder: property.format })));
  return element("div", { className: "row" }, ...made);
}

function filters(names, refresh) {
  const rows = element("div");
  const add = () => {
    const column = element("select", { className: "column", ariaLabel: "Column" }, ...names.map((name) => element("option", { textContent: name })));
    const operator = element("select", { className: "operator", ariaLabel: "Operator" }, ...operators.map((name) => element("option", { textContent: name })));
    const value = element("input", { className: "value", ariaLabel: "Value" });
    const row = element("div", { className: "row filter" }, column, operator, value);
    row.append(element("button", { type: "button", textContent: "Remove", onclick: () => { row.remove(); refresh(); } }));
    rows.append(row);
    refresh();
  };
  return element("div", {}, rows, element("button", { type: "button", className: "add", textContent: "Add a filter", onclick: add }));
}

function bodyField(properties) {
  const value = JSON.stringify(example(properties), null, 2);
  return element("label", { className: "block" }, "Body", element("textarea", { id: "body", value, spellcheck: false }));
}

function preferField(call, method) {
  if (call) return null;
  const choices = ["return=representation", "return=minimal"];
  if (method === "POST") choices.push("return=representation,resolution=merge-duplicates", "return=representation,resolution=ignore-duplicates");
  return element("label", {}, "Prefer ", element("select", { id: "prefer" }, ...choices.map((text) => element("option", { textContent: text }))));
}

function build(path, method, form) {
  const one = (selector) => form.querySelector(selector);
  const content = one("#body");
  const prefer = one("#prefer");
  const more = { ...(content && { "Content-Type": "application/json" }), ...(prefer && { Prefer: prefer.value }) };
  if (method === "DELETE" && byId("schema").value.trim()) more["Content-Profile"] = byId("schema").value.trim();
  return { method, url: rest + path + query(form), headers: headers(more), body: content ? body(content.value) : undefined };
}

async function send(request, answer) {
  const begun = performance.now();
  try {
    const found = await fetch(request.url, { method: request.method, headers: request.headers, body: request.body });
    const text = await found.text();
    const spent = `${(performance.now() - begun).toFixed(0)} ms`;
    const lines = [...found.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    answer.replaceChildren(
      element("p", { className: `status ${found.ok ? "good" : "bad"}`, textContent: `${found.status} ${found.statusText} (${spent})` }),
      element("pre", { id: "answer-body", textContent: pretty(text) }),
      element("details", {}, element("summary", { textContent: "Headers" }), element("pre", { textContent: lines })));
  } catch (error) {
    answer.replaceChildren(element("p", { className: "status bad", textContent: `No answer: ${error.message}` }));
  }
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

byId("token").value = sessionStorage.getItem("aiodata-token") || "";
byId("caller").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("aiodata-token", byId("token").value.trim());
  load();
});
byId("search").addEventListener("input", list);
addEventListener("hashchange", () => { list(); show(); byId("main").focus(); });
load();
