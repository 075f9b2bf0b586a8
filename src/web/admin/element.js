// Elements from values. A text stays a text: nothing here makes markup of it, whatever a name or a reason says.

/** `make('button.small', { type: 'button', on: { click } }, 'Ban')`. Left-out and false properties and children are skipped. */
export function make(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'on') for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (key === 'style') for (const [rule, text] of Object.entries(value)) element.style.setProperty(rule, text);
    else element.setAttribute(key, value === true ? '' : value);
  }
  fill(element, children);
  return element;
}

/** Replaces what an element holds. */
export function fill(element, children) {
  element.replaceChildren(...[children].flat(3).filter((it) => it !== undefined && it !== null && it !== false));
  return element;
}

/** The heading of a view, which takes the focus when the view opens, and what stands beside it. */
export function heading(title, ...beside) {
  document.title = `${title} · Laurel operators`;
  return make('div.heading', {}, make('h1', { tabindex: -1 }, title), ...beside);
}

/** A part of a view with a title; `beside` are its controls. */
export function panel(name, title, ...beside) {
  const body = make('div.body');
  const id = `panel-${name}`;
  const element = make('section.panel.card', { 'aria-labelledby': id, 'data-panel': name },
    make('header', {}, make('h2', { id }, title), ...beside), body);
  return { element, body };
}

/**
 * A table. Columns are `{ title, class, cell(row), head }`; `head` marks the column that names its row. A `stacked` one has no columns on
 * a narrow screen, so its roles are said aloud; a `wide` one may be wider than its place, so it can be scrolled by keys.
 */
export function table(caption, columns, rows, { empty = 'Nothing here.', stacked, wide } = {}) {
  if (!rows.length) return make('p.empty.quiet', {}, empty);
  const role = (it) => (stacked ? { role: it } : {});
  const kind = (it) => (it.class ? { class: it.class } : {});
  const cell = (it, row) => (it.head
    ? make('th', { scope: 'row', ...role('rowheader'), ...kind(it) }, it.cell(row))
    : make('td', { ...role('cell'), ...kind(it) }, it.cell(row)));
  const around = wide ? { tabindex: 0, role: 'region', 'aria-label': caption } : {};
  return make('div.scroll', around, make(stacked ? 'table.stacked' : 'table', role('table'),
    make('caption.unseen', {}, caption),
    make('thead', role('rowgroup'), make('tr', role('row'), columns.map((it) => make('th', { scope: 'col', ...role('columnheader'), ...kind(it) }, it.title)))),
    make('tbody', role('rowgroup'), rows.map((row) => make('tr', role('row'), columns.map((it) => cell(it, row)))))));
}

/** One of several values, as a row of buttons that says which is pressed. */
export function choice(label, options, chosen, choose) {
  const group = make('div.choice', { role: 'group', 'aria-label': label }, options.map(([value, text]) =>
    make('button', { type: 'button', 'data-value': value, 'aria-pressed': String(value === chosen) }, text)));
  group.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    for (const it of group.children) it.setAttribute('aria-pressed', String(it === button));
    choose(button.dataset.value);
  });
  return group;
}
