// Charts by uPlot in the page's colors. For screen readers a chart is an image with a summary, and a table has its values.

import { make, table } from './elements.js';
import { compact } from './format.js';

const HEIGHT = 190;
const system = matchMedia('(prefers-color-scheme: dark)');
const probe = make('span', { hidden: true });

/** Resolves a CSS color, because a canvas does not know variables. */
function resolved(color) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = color;
  return getComputedStyle(probe).color;
}

const ink = (name, percent = 100) => resolved(`color-mix(in srgb, var(--${name}) ${percent}%, transparent)`);

/**
 * `x` is `{ time: true, values(splits, step) }` or `{ values(splits) }`. Values are drawn in `color`, as `bars` or as a line.
 * `describe(index)` is the text for the value under the cursor, `columns` are those of the table. The chart is destroyed when `signal` is
 * aborted.
 */
export function chart({ name, x, color, bars = true, describe, columns, height = HEIGHT, sync, signal }) {
  const canvas = make('div.canvas', { role: 'img', 'aria-label': name });
  const readout = make('p.readout', { 'aria-hidden': 'true' });
  const tableOutlet = make('div', {});
  const details = make('details', {}, make('summary', {}, 'Show as a table'), tableOutlet);
  const element = make('div.chart', {}, readout, canvas, details);
  let plot;
  let drawn;

  function drawTable() {
    tableOutlet.replaceChildren(...(details.open && drawn ? [table(name, columns, drawn.rows, { wide: true })] : []));
  }

  function build() {
    if (!drawn || !canvas.clientWidth) return;
    plot?.destroy();
    plot = new globalThis.uPlot(options(canvas.clientWidth), drawn.data, canvas);
    showReadout(null);
  }

  function showReadout(index) {
    readout.textContent = index === null || index === undefined ? '' : describe(index);
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
        { ...axis, size: 46, gap: 6, space: 20, grid: { stroke: ink('line', 70), width: 1 }, values: (_, splits) => splits.map((split) => (Number.isInteger(split) ? compact(split) : '')) },
      ],
      series: [{}, series(bars ? 0 : 1.75, bars ? 72 : 16), { ...series(1.5, bars ? 18 : 6), dash: [4, 3] }],
      hooks: { setCursor: [(chart) => showReadout(chart.cursor.idx)] },
    };
  }

  function series(width, fillPercent) {
    const paths = bars ? globalThis.uPlot.paths.bars({ size: [0.74, 48], radius: 0.16 }) : undefined;
    return { stroke: ink(color), width, fill: ink(color, fillPercent), paths, points: { show: false } };
  }

  const sizeObserver = new ResizeObserver(() => {
    if (!plot) build();
    else if (canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height });
  });
  sizeObserver.observe(canvas);
  details.addEventListener('toggle', drawTable);
  system.addEventListener('change', build, { signal });
  const themeObserver = new MutationObserver(build);
  themeObserver.observe(document.documentElement, { attributeFilter: ['data-theme'] });
  signal.addEventListener('abort', () => {
    sizeObserver.disconnect();
    themeObserver.disconnect();
    plot?.destroy();
  });
  return {
    element,
    /** Draws `values` at `positions`, with `rows` for the table. A last value that does not compare with the others is dashed. */
    draw(positions, values, rows, summary, { bars: asBars = bars, isLastSpecial = false } = {}) {
      const isRebuild = asBars !== bars;
      bars = asBars;
      const last = values.length - 1;
      const data = [positions, values.map((value, index) => (isLastSpecial && index === last ? null : value)),
        // A line to the last value starts at the one before.
        values.map((value, index) => (isLastSpecial && index >= (bars ? last : last - 1) ? value : null))];
      drawn = { data, rows };
      canvas.setAttribute('aria-label', `${name}. ${summary}`);
      if (plot && !isRebuild) plot.setData(data);
      else build();
      drawTable();
    },
  };
}
