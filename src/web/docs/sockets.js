// The AsyncAPI document, as a list to read: channels, messages both ways, their fields, how each ends.

import { fields, resolve } from './fields.js';
import { Listening } from './listen.js';

/** An element with its class and its children. */
function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Text, of which what is between backticks is code. */
function prose(text) {
  const pieces = text.split('`').map((it, place) => (place % 2 === 1 ? make('code', '', it) : it));
  return make('p', '', ...pieces);
}

function table(heads, rows) {
  const head = make('tr', '', ...heads.map((it) => make('th', '', it)));
  const body = rows.map((cells) => make('tr', '', ...cells.map((it) => make('td', '', ...(Array.isArray(it) ? it : [it])))));
  const scrolls = make('div', 'scrolls', make('table', '', make('thead', '', head), make('tbody', '', ...body)));
  scrolls.tabIndex = 0;
  scrolls.setAttribute('role', 'group');
  scrolls.setAttribute('aria-label', heads.join(', '));
  return scrolls;
}

function code(text) {
  const pre = make('pre', '', make('code', '', text));
  pre.tabIndex = 0;
  return pre;
}

function message(it, api) {
  const parts = [];
  if (it.description) parts.push(prose(it.description));
  if (it['x-wire'] !== '{payload}') parts.push(make('p', 'wire', 'On the wire: ', make('code', '', JSON.stringify(it['x-wire']).slice(1, -1).replaceAll('\\"', '"'))));
  if (it.payload) {
    const rows = fields(it.payload, api).map(({ path, type, about, optional }) =>
      [[make('code', '', path)], optional ? `${type}, may be missing` : type, [...prose(about).childNodes]]);
    parts.push(table(['Field', 'Type', 'Says'], rows));
  }
  for (const { payload } of it.examples ?? []) parts.push(code(JSON.stringify(payload, null, 2)));
  const title = make('summary', '', make('code', '', it.name), ' ', make('span', '', ...prose(it.summary).childNodes));
  return make('details', 'message', title, ...parts);
}

function security(operation, api) {
  const ways = (operation.security ?? []).map((it) => {
    const { name, description, type } = resolve(it, api);
    return make('li', '', make('b', '', type === 'http' ? 'Authorization: Bearer' : name), ' ', ...prose(description).childNodes);
  });
  return ways.length > 0 ? [make('h3', '', 'The login, one of'), make('ul', 'ways', ...ways)] : [];
}

function closes(channel) {
  const rows = channel['x-closes'].map(({ signal, code: number, reason, why, client }) => {
    const said = number === undefined ? prose(signal).childNodes : [make('code', '', `${number}${reason ? ` ${reason}` : ''}`)];
    return [[...said], [...prose(why).childNodes], client];
  });
  return [make('h3', '', 'How it closes'), table(['Signal', 'Reason', 'What to do'], rows)];
}

function channel(key, it, api) {
  const here = Object.values(api.operations).filter(({ channel: { $ref } }) => $ref === `#/channels/${key}`);
  const spoken = here.flatMap((operation) => [
    make('h3', '', operation.summary),
    ...operation.messages.map((one) => message(resolve(one, api), api)),
  ]);
  const title = make('h2', '', it.title, ' ', make('code', 'address', it.address));
  return make('article', 'card channel', title, prose(it.description), ...security(here[0], api), ...spoken, ...closes(it));
}

/** Reads the document and shows it, with something to try. */
export async function showSockets(login) {
  const about = document.getElementById('sockets-about');
  let api;
  try {
    api = await (await fetch('/asyncapi.json')).json();
  } catch {
    about.textContent = 'The node does not answer. Load the page again.';
    return;
  }
  about.textContent = api.info.description;
  document.getElementById('sockets-version').textContent = api.asyncapi;
  document.getElementById('channels').append(...Object.entries(api.channels).map(([key, it]) => channel(key, it, api)));
  new Listening(login, api.channels);
}
