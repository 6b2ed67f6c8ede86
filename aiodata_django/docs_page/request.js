// From the fields of a form to a request: the query string, an example of a body, the line for a shell.

export const operators = ["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is", "cs", "cd", "fts"];

const examples = { integer: 0, number: 0, boolean: false, array: [], string: "" };

export function example(properties) {
  const found = {};
  for (const [name, property] of Object.entries(properties)) {
    if (property.default === undefined || !isExpression(property)) {
      found[name] = property.default ?? property.enum?.[0] ?? examples[property.type] ?? null;
    }
  }
  return found;
}

// Defaults such as now() are PostgreSQL's to compute: left out, they are.
function isExpression(property) {
  return property.type === "string" && /\(.*\)|^CURRENT_/.test(property.default);
}

// JSON is sent as it stands: what is wrong with it, the server says best.
export function body(text) {
  return text.trim() ? text : undefined;
}

export function query(form) {
  const parts = [];
  const add = (name, value) => parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  for (const row of form.querySelectorAll(".filter")) {
    const [column, operator, value] = ["column", "operator", "value"].map((name) => row.querySelector(`.${name}`).value);
    add(column, `${operator}.${operator === "in" && !value.startsWith("(") ? `(${value})` : value}`);
  }
  for (const input of form.querySelectorAll(".argument")) if (input.value) add(input.name, input.value);
  for (const name of ["select", "order", "limit", "offset"]) {
    const value = form.querySelector(`input[name="${name}"]:not(.argument)`)?.value.trim();
    if (value && !(name === "select" && value === "*")) add(name, value);
  }
  const more = form.querySelector('input[name="more"]:not(.argument)')?.value.trim().replace(/^[?&]/, "");
  if (more) parts.push(more);
  return parts.length ? `?${parts.join("&")}` : "";
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function shell(request) {
  const lines = [`curl -X ${request.method} ${quoted(request.url)}`];
  for (const [name, value] of Object.entries(request.headers)) {
    lines.push(`  -H ${quoted(`${name}: ${name === "Authorization" ? "Bearer $TOKEN" : value}`)}`);
  }
  if (request.body) lines.push(`  -d ${quoted(request.body)}`);
  return lines.join(" \\\n").replaceAll("'Authorization: Bearer $TOKEN'", '"Authorization: Bearer $TOKEN"');
}
