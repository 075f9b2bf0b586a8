// Builders of DOM elements. Values are inserted as text, never as markup.

/**
 * Creates an element: `make('button.small', { type: 'button', on: { click } }, 'Ban')`. Properties and children that are undefined, null or
 * false are skipped.
 */
export function make(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties)) {
    if (isMissing(value)) continue;
    if (key === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (key === 'style') for (const [rule, text] of Object.entries(value)) element.style.setProperty(rule, text);
    else element.setAttribute(key, value === true ? '' : value);
  }
  fill(element, children);
  return element;
}

/** Replaces the children of an element. */
export function fill(element, children) {
  element.replaceChildren(...[children].flat(3).filter((child) => !isMissing(child)));
  return element;
}

function isMissing(value) {
  return value === undefined || value === null || value === false;
}

/** The heading of a view, which gets the focus when the view opens. Sets the page's title. */
export function heading(title, ...extras) {
  document.title = `${title} · Laurel Admin`;
  return make('div.heading', {}, make('h1', { tabindex: -1 }, title), ...extras);
}

/** A titled section of a view, with its controls. */
export function panel(name, title, ...controls) {
  const body = make('div.body');
  const id = `panel-${name}`;
  const element = make('section.panel.card', { 'aria-labelledby': id, 'data-panel': name },
    make('header', {}, make('h2', { id }, title), ...controls), body);
  return { element, body };
}

/**
 * A table. Columns are `{ title, class, cell(row), isHead }`; the head column names its row. A `stacked` table shows each row as a block on
 * narrow screens, which would drop its roles, so they are set. A `wide` one scrolls sideways, also by keyboard.
 */
export function table(caption, columns, rows, { empty = 'Nothing here.', stacked, wide } = {}) {
  if (!rows.length) return make('p.empty.quiet', {}, empty);
  const role = (name) => (stacked ? { role: name } : {});
  const classOf = (column) => (column.class ? { class: column.class } : {});
  const cell = (column, row) => (column.isHead
    ? make('th', { scope: 'row', ...role('rowheader'), ...classOf(column) }, column.cell(row))
    : make('td', { ...role('cell'), ...classOf(column) }, column.cell(row)));
  const head = (column) => make('th', { scope: 'col', ...role('columnheader'), ...classOf(column) }, column.title);
  const region = wide ? { tabindex: 0, role: 'region', 'aria-label': caption } : {};
  return make('div.scroll', region, make(stacked ? 'table.stacked' : 'table', role('table'),
    make('caption.visually-hidden', {}, caption),
    make('thead', role('rowgroup'), make('tr', role('row'), columns.map(head))),
    make('tbody', role('rowgroup'), rows.map((row) => make('tr', role('row'), columns.map((column) => cell(column, row)))))));
}

/** Buttons of which one is pressed. `options` are pairs of value and text. */
export function choice(label, options, chosen, onChoose) {
  const group = make('div.choice', { role: 'group', 'aria-label': label }, options.map(([value, text]) =>
    make('button', { type: 'button', 'data-value': value, 'aria-pressed': String(value === chosen) }, text)));
  group.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    for (const other of group.children) other.setAttribute('aria-pressed', String(other === button));
    onChoose(button.dataset.value);
  });
  return group;
}

/** A bar as long as a share, from 0 to 1. */
export function shareBar(share) {
  return make('span.share-bar', { 'aria-hidden': 'true', style: { '--share': String(share) } });
}
