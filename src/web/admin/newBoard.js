// A dialog that creates a board, such as an event, and shows its periods before.

import { newIdempotencyKey } from '/assets/laurel/rest.js';
import { makeDialog, NO_REASON, reasonInput, sendOnSubmit, show, showProblems } from './actionDialog.js';
import { post } from './api.js';
import { fill, make, table } from './elements.js';
import { asMinute } from './format.js';
import { clearFieldErrors, refresh, showError, showFieldErrors, showResult } from './notices.js';

const PREVIEW_DELAY_MS = 300;
const ONCE = 'once';

/** A button that opens the dialog. */
export function newBoardButton(signal) {
  return make('button.small', { type: 'button', 'data-action': 'create', on: { click: () => openDialog(signal) } }, 'New board…');
}

function openDialog(signal) {
  let key = newIdempotencyKey();
  let timer;
  const select = (name, options) => make('select', { name }, options.map(([value, text]) => make('option', { value }, text)));
  const input = (name, more = {}) => make('input', { name, autocomplete: 'off', ...more });
  const field = (label, control) => make('label', {}, label, control);
  const id = input('id', { required: true, maxlength: 40, placeholder: 'spring-cup', 'data-first': true });
  const period = select('period', [[ONCE, 'Once'], ['day', 'Every day'], ['week', 'Every week'], ['month', 'Every month'], ['none', 'Never ends']]);
  const from = input('period.from', { type: 'datetime-local' });
  const until = input('period.until', { type: 'datetime-local' });
  const times = [field('From', from), field('Until', until)];
  const preview = make('div.preview-periods', { role: 'status' });
  const reason = reasonInput();
  const problem = make('div.outlet', { role: 'alert' });
  const submit = make('button.primary', {}, 'Create');
  const cancel = make('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const form = make('form', { novalidate: true },
    make('div.fields', {},
      field('Id', id),
      field('Title', input('title', { maxlength: 100, placeholder: 'Spring cup' })),
      field('Actions, * for all', input('actions', { value: '*' })),
      field('Measure', select('measure', [['points', 'Points'], ['count', 'Number of awards'], ['value', 'Value']])),
      field('Aggregate', select('aggregate', [['sum', 'Sum'], ['best', 'Best'], ['latest', 'Latest']])),
      field('Order', select('order', [['desc', 'Highest first'], ['asc', 'Lowest first']])),
      field('Attempts, 0 for any number', input('attempts', { value: '0', inputmode: 'numeric' })),
      field('Visible to', select('visibility', [['public', 'Everyone'], ['players', 'Players'], ['admins', 'Admins']])),
      field('Period', period)),
    make('div.fields.two', {}, times, field('Time zone', input('time_zone', { value: 'UTC' })), field('Time to settle', input('settle', { value: '10m' }))),
    preview, field('Reason, for the audit log', reason), problem, make('div.buttons', {}, cancel, submit));
  const dialog = makeDialog('New board', [make('p', {}, 'It exists on all nodes within a second. The id can’t be used again for another board.')], form);

  dialog.classList.add('large');

  /** What the API takes. An empty field has its default. */
  function read() {
    const text = (name) => form.elements.namedItem(name).value.trim() || undefined;
    const actions = text('actions');
    const time = (control) => (control.value.length === 16 ? `${control.value}:00` : control.value);
    return {
      ...Object.fromEntries(['id', 'title', 'measure', 'aggregate', 'order', 'visibility', 'time_zone', 'settle'].map((name) => [name, text(name)])),
      actions: actions === undefined || actions === '*' ? actions : actions.split(',').map((action) => action.trim()),
      attempts: Number(text('attempts') ?? 0),
      period: period.value === ONCE ? { from: time(from), until: time(until) } : period.value,
    };
  }

  const isComplete = () => id.value.trim() && (period.value !== ONCE || (from.value && until.value));

  /** Shows the periods, or what is wrong. */
  async function showPreview() {
    clearFieldErrors(form);
    if (!isComplete()) return preview.replaceChildren();
    try {
      await refresh(preview, signal, () => post('/api/admin/board-preview', read()), ({ periods }) => fill(preview, [table('Its next periods', [
        { title: 'Period', isHead: true, class: 'tight', cell: (one) => one.id },
        { title: 'Starts (UTC)', class: 'tight', cell: ({ startsAt }) => (startsAt ? asMinute(startsAt) : '–') },
        { title: 'Ends (UTC)', class: 'tight', cell: ({ endsAt }) => (endsAt ? asMinute(endsAt) : '–') },
        { title: 'Closes (UTC)', class: 'tight', cell: ({ closesAt }) => (closesAt ? asMinute(closesAt) : '–') },
      ], periods, { stacked: true })]));
    } catch (error) {
      preview.replaceChildren();
      const focused = document.activeElement;
      if (!showFieldErrors(form, error)) showError(preview, error);
      // The admin is still typing.
      focused.focus();
    }
  }

  form.addEventListener('input', (change) => {
    for (const label of times) label.hidden = period.value !== ONCE;
    if (change.target === reason) return;
    clearTimeout(timer);
    timer = setTimeout(showPreview, PREVIEW_DELAY_MS);
  });
  dialog.addEventListener('close', () => clearTimeout(timer));

  sendOnSubmit({
    dialog, form, problem, buttons: [submit, cancel],
    read() {
      const problems = [];
      if (!id.value.trim()) problems.push({ field: 'id', problem: 'Enter an id.' });
      if (period.value === ONCE) for (const control of [from, until]) if (!control.value) problems.push({ field: control.name, problem: 'Enter a time.' });
      if (!reason.value.trim()) problems.push(NO_REASON);
      return showProblems(form, problems) ? null : { ...read(), reason: reason.value.trim() };
    },
    async send(body) {
      clearTimeout(timer);
      try {
        const board = await post('/api/admin/boards', body, key);
        dialog.close();
        showResult(`Board ${board.id} is created.`);
        location.hash = `#/boards/${encodeURIComponent(board.id)}`;
      } catch (error) {
        // A change of the fields is another operation.
        if (!error.isUnsure) key = newIdempotencyKey();
        if (!showFieldErrors(form, error)) showError(problem, error);
        if (error.isUnsure) problem.append(make('p', {}, 'It may have been created. You can safely try again: it counts once.'));
      }
    },
  });
  show(dialog);
}
