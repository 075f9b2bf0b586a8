// A drawing by uPlot in the page's colours. It is one picture to a screen reader, with a name; the same values are in a table below.

import { make, table } from './element.js';
import { compact } from './format.js';

const HEIGHT = 190;
const system = matchMedia('(prefers-color-scheme: dark)');
const probe = make('span', { hidden: true });

/** What the browser makes of a colour of the palette, for a canvas that knows no variables. */
function colour(text) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = text;
  return getComputedStyle(probe).color;
}

const ink = (name, share = 100) => colour(`color-mix(in srgb, var(--${name}) ${share}%, transparent)`);

/**
 * `x` is `{ time: true, values(splits, step) }` or `{ values(splits) }`; values are drawn in `ink`, as `bars` or as a line; `read(index)`
 * says in words what is under the pointer, and `columns` are those of the table, whose rows `draw` gets. With the `signal` the drawing goes.
 */
export function chart({ name, x, ink: colourName, bars = true, read, columns, height = HEIGHT, sync, signal }) {
  const canvas = make('div.canvas', { role: 'img', 'aria-label': name });
  const readout = make('p.readout', { 'aria-hidden': 'true' });
  const values = make('div', {});
  const details = make('details', {}, make('summary', {}, 'As a table'), values);
  const element = make('div.chart', {}, readout, canvas, details);
  let plot;
  let held;

  function list() {
    if (details.open && held) values.replaceChildren(table(name, columns, held.rows, { wide: true }));
  }

  function build() {
    if (!held || !canvas.clientWidth) return;
    plot?.destroy();
    plot = new globalThis.uPlot(options(canvas.clientWidth), held.data, canvas);
    tell(null);
  }

  function tell(index) {
    readout.textContent = index === null || index === undefined ? '' : read(index);
  }

  function options(width) {
    const axis = { stroke: ink('quiet'), font: '12px Figtree, sans-serif', ticks: { show: false } };
    return {
      width,
      height,
      tzDate: (seconds) => globalThis.uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
      legend: { show: false },
      padding: [10, 18, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !bars, size: 7 }, sync: sync && { key: sync } },
      scales: { x: { time: Boolean(x.time), range: x.range }, y: { range: (_, _low, high) => [0, Math.max(4, high * 1.08)] } },
      axes: [
        { ...axis, size: 28, gap: 4, space: x.space ?? 56, incrs: x.incrs, grid: { show: false }, values: (_, splits, __, ___, step) => x.values(splits, step) },
        { ...axis, size: 46, gap: 6, space: 20, grid: { stroke: ink('line', 70), width: 1 }, values: (_, splits) => splits.map((it) => (Number.isInteger(it) ? compact(it) : '')) },
      ],
      series: [{}, drawn(bars ? 0 : 1.75, bars ? 72 : 16), { ...drawn(1.5, bars ? 18 : 6), dash: [4, 3] }],
      hooks: { setCursor: [(it) => tell(it.cursor.idx)] },
    };
  }

  function drawn(width, share) {
    const paths = bars ? globalThis.uPlot.paths.bars({ size: [0.74, 48], radius: 0.16 }) : undefined;
    return { stroke: ink(colourName), width, fill: ink(colourName, share), paths, points: { show: false } };
  }

  const resized = new ResizeObserver(() => {
    if (!plot) build();
    else if (canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height });
  });
  resized.observe(canvas);
  details.addEventListener('toggle', list);
  system.addEventListener('change', build, { signal });
  const chosen = new MutationObserver(build);
  chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  signal.addEventListener('abort', () => {
    resized.disconnect();
    chosen.disconnect();
    plot?.destroy();
  });
  return {
    element,
    /**
     * Shows `values` at their `places`, the same as `rows` of the table, and the picture in a sentence. If the last value does not
     * compare with the others (`lastApart`), it is dashed.
     */
    draw(places, values, rows, sentence, { bars: asBars = bars, lastApart = false } = {}) {
      const other = asBars !== bars;
      bars = asBars;
      const last = values.length - 1;
      const data = [places, values.map((it, index) => (lastApart && index === last ? null : it)),
        // A line to the last value begins at the one before.
        values.map((it, index) => (lastApart && index >= (bars ? last : last - 1) ? it : null))];
      held = { data, rows };
      canvas.setAttribute('aria-label', `${name}. ${sentence}`);
      if (plot && !other) plot.setData(data);
      else build();
      list();
    },
  };
}
