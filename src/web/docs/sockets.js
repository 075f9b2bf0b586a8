// The AsyncAPI document as a page: channels, their messages, the fields of each, and how connections close.

import { EventConsole } from './eventConsole.js';

/** Creates an element with a class and children. */
function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Text in which parts between backticks are code. */
function prose(text) {
  const parts = text.split('`').map((part, index) => (index % 2 === 1 ? make('code', '', part) : part));
  return make('p', '', ...parts);
}

function table(heads, rows) {
  const head = make('tr', '', ...heads.map((text) => make('th', '', text)));
  const body = rows.map((cells) => make('tr', '', ...cells.map((cell) => make('td', '', ...(Array.isArray(cell) ? cell : [cell])))));
  const scrollable = make('div', 'scrolls', make('table', '', make('thead', '', head), make('tbody', '', ...body)));
  scrollable.tabIndex = 0;
  scrollable.setAttribute('role', 'group');
  scrollable.setAttribute('aria-label', heads.join(', '));
  return scrollable;
}

function code(text) {
  const pre = make('pre', '', make('code', '', text));
  pre.tabIndex = 0;
  return pre;
}

/** Follows the references of a schema. */
function resolve(schema, document) {
  let target = schema;
  while (target.$ref) target = target.$ref.slice(2).split('/').reduce((parent, name) => parent[name], document);
  return target;
}

/** The fields below a schema, in its order: `{ path, type, description, isOptional }`. */
function fields(schema, document, path = '', isOptional = false) {
  const resolved = resolve(schema, document);
  const { description = '' } = resolved;
  const own = path === '' ? [] : [{ path, type: typeOf(resolved, document), description, isOptional }];
  if (resolved.type === 'array') return [...own, ...fields(resolved.items, document, `${path}[]`).slice(1)];
  const alternative = resolved.anyOf?.find((option) => option.type !== 'null');
  if (alternative) {
    const [first, ...rest] = fields(alternative, document, path, isOptional);
    return [{ ...first, type: `${first.type} or null` }, ...rest];
  }
  const required = resolved.required ?? [];
  const below = Object.entries(resolved.properties ?? {}).flatMap(([name, property]) =>
    fields(property, document, path === '' ? name : `${path}.${name}`, !required.includes(name)));
  if (own.length === 0 && below.length === 0 && resolved.type) return [{ path: '(the payload)', type: typeOf(resolved, document), description, isOptional: false }];
  return [...own, ...below];
}

function typeOf(schema, document) {
  if (Object.hasOwn(schema, 'const')) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(resolve(schema.items, document), document)}`;
  const types = [schema.type ?? ''].flat();
  const own = schema.format ?? types.find((type) => type !== 'null');
  return types.includes('null') ? `${own} or null` : own;
}

function message({ name, summary, description, payload, examples = [], 'x-wire': wire }, document) {
  const parts = [];
  if (description) parts.push(prose(description));
  if (wire !== '{payload}') parts.push(make('p', 'wire', 'On the wire: ', make('code', '', JSON.stringify(wire).slice(1, -1).replaceAll('\\"', '"'))));
  if (payload) {
    const rows = fields(payload, document).map((field) =>
      [[make('code', '', field.path)], field.isOptional ? `${field.type}, optional` : field.type, [...prose(field.description).childNodes]]);
    parts.push(table(['Field', 'Type', 'Description'], rows));
  }
  for (const example of examples) parts.push(code(JSON.stringify(example.payload, null, 2)));
  const title = make('summary', '', make('code', '', name), ' ', make('span', '', ...prose(summary).childNodes));
  return make('details', 'message', title, ...parts);
}

function security(operation, document) {
  const logins = (operation.security ?? []).map((reference) => {
    const { name, description, type } = resolve(reference, document);
    return make('li', '', make('b', '', type === 'http' ? 'Authorization: Bearer' : name), ' ', ...prose(description).childNodes);
  });
  return logins.length > 0 ? [make('h3', '', 'Login: one of'), make('ul', 'logins', ...logins)] : [];
}

function closes(channel) {
  const rows = channel['x-closes'].map(({ signal, code: number, reason, why, client }) => {
    const label = number === undefined ? prose(signal).childNodes : [make('code', '', `${number}${reason ? ` ${reason}` : ''}`)];
    return [[...label], [...prose(why).childNodes], client];
  });
  return [make('h3', '', 'How it closes'), table(['Signal', 'Reason', 'What to do'], rows)];
}

function channel(key, { title, address, description, ...details }, document) {
  const operations = Object.values(document.operations).filter((operation) => operation.channel.$ref === `#/channels/${key}`);
  const messages = operations.flatMap((operation) => [
    make('h3', '', operation.summary),
    ...operation.messages.map((reference) => message(resolve(reference, document), document)),
  ]);
  const head = make('h2', '', title, ' ', make('code', 'address', address));
  return make('article', 'card channel', head, prose(description), ...security(operations[0], document), ...messages, ...closes(details));
}

/** Loads the document and shows it, with a console to try it. */
export async function showSockets(login) {
  const about = document.getElementById('sockets-about');
  let api;
  try {
    api = await (await fetch('/asyncapi.json')).json();
  } catch {
    about.textContent = 'Can’t reach the server. Reload the page.';
    return;
  }
  about.replaceChildren(...prose(api.info.description).childNodes);
  document.getElementById('sockets-version').textContent = api.asyncapi;
  document.getElementById('channels').append(...Object.entries(api.channels).map(([key, details]) => channel(key, details, api)));
  new EventConsole(login, api.channels);
}
