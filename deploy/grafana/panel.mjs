// What the dashboards are made of: queries and panels, with what is alike in all of them.

const NODES = 'job="laurel", instance=~"$node"';

/** A metric of the chosen nodes. */
export const of = (name, labels = "") => `${name}{${NODES}${labels && `, ${labels}`}}`;

/** How fast a counter grows, summed. `by` is a list of labels, or empty for one line. */
export const rate = (name, by = "", labels = "") =>
  `${sum(by)} (rate(${of(name, labels)}[$__rate_interval]))`;

/** What a histogram's share `q` stayed below. */
export const quantile = (q, name, by = "", labels = "") =>
  `histogram_quantile(${q}, ${sum(by ? `${by}, le` : "le")} (rate(${of(`${name}_bucket`, labels)}[$__rate_interval])))`;

export const sum = (by) => (by ? `sum by (${by})` : "sum");

/** A query and what its lines are called. */
export const line = (legend, expr) => ({ legend, expr });

const alert = (name) => ({
  title: `${name}: what to do`,
  url: `\${docs}#${name.toLowerCase()}`,
  targetBlank: true,
});

function frame(type, title, unit, targets, options) {
  const { width = 8, height = 8, says = "", limits = [], alerts = [], min = 0, max, decimals } = options;
  const [ok, ...above] = options.colors ?? ["green", "orange", "red"];
  // One limit is the alert's; of two the first is the ticket's and the second the page's.
  const colors = limits.length === 1 ? above.slice(-1) : above;
  return {
    type,
    title,
    description: says,
    links: alerts.map(alert),
    size: { width, height },
    datasource: { type: "prometheus", uid: "${datasource}" },
    targets: targets.map(({ legend, expr }, at) => ({
      refId: String.fromCharCode(65 + at),
      expr,
      legendFormat: legend,
      range: type === "timeseries",
      instant: type !== "timeseries",
    })),
    fieldConfig: {
      defaults: {
        unit,
        min,
        max,
        decimals,
        noValue: "none",
        color: { mode: type === "timeseries" ? "palette-classic" : "thresholds" },
        thresholds: {
          mode: "absolute",
          steps: [{ color: ok, value: null }, ...limits.map((value, at) => ({ color: colors[at], value }))],
        },
      },
      overrides: [],
    },
  };
}

/** Lines over time. `limits` are drawn: they are those of the alerts whose names are in `alerts`. */
export function graph(title, unit, targets, options = {}) {
  const panel = frame("timeseries", title, unit, targets, options);
  panel.fieldConfig.defaults.custom = {
    lineWidth: 1,
    fillOpacity: options.stacked ? 30 : 0,
    showPoints: "never",
    stacking: { mode: options.stacked ? "normal" : "none" },
    thresholdsStyle: { mode: options.limits ? "dashed" : "off" },
  };
  panel.options = {
    legend: { displayMode: "list", placement: "bottom" },
    tooltip: { mode: "multi", sort: "desc" },
  };
  return panel;
}

/** One number, as of now. */
export function number(title, unit, targets, options = {}) {
  const panel = frame("stat", title, unit, targets, { width: 4, height: 4, ...options });
  panel.options = {
    colorMode: "background",
    graphMode: "none",
    textMode: targets.length > 1 ? "value_and_name" : "value",
    reduceOptions: { calcs: ["lastNotNull"] },
  };
  return panel;
}

/** A heading; what follows stands below it. */
export const row = (title) => ({
  type: "row",
  title,
  collapsed: false,
  panels: [],
  size: { width: 24, height: 1 },
});

/** Panels from left to right, then below. */
function place(panels) {
  let [x, y, height] = [0, 0, 0];
  return panels.map(({ size, ...panel }, at) => {
    if (x + size.width > 24) [x, y, height] = [0, y + height, 0];
    const gridPos = { x, y, w: size.width, h: size.height };
    [x, height] = [x + size.width, Math.max(height, size.height)];
    return { id: at + 1, gridPos, ...panel };
  });
}

const variable = (name, label, rest) => ({ name, label, hide: 0, ...rest });

/** A dashboard; each links to the others. */
export function dashboard(uid, title, says, panels) {
  const prometheus = { type: "prometheus", uid: "${datasource}" };
  return {
    uid,
    title,
    description: says,
    tags: ["laurel"],
    schemaVersion: 39,
    editable: true,
    timezone: "browser",
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    graphTooltip: 1,
    links: [{ type: "dashboards", title: "Laurel", tags: ["laurel"], asDropdown: false, includeVars: true, keepTime: true }],
    templating: {
      list: [
        variable("datasource", "Prometheus", { type: "datasource", query: "prometheus", regex: "" }),
        variable("node", "Node", {
          type: "query",
          datasource: prometheus,
          query: { query: 'label_values(up{job="laurel"}, instance)', refId: "node" },
          refresh: 2,
          sort: 1,
          multi: true,
          includeAll: true,
          allValue: ".+",
          current: { text: ["All"], value: ["$__all"] },
        }),
        variable("docs", "Where docs/operations.md is read", {
          type: "constant",
          hide: 2,
          query: "https://laurel.example/docs/operations.md",
        }),
      ],
    },
    annotations: {
      list: [
        {
          name: "Alerts",
          enable: true,
          iconColor: "red",
          datasource: prometheus,
          expr: 'ALERTS{alertname=~"Laurel.+", alertstate="firing"}',
          titleFormat: "{{alertname}}",
          textFormat: "{{instance}} {{slo}}",
          step: "15s",
        },
      ],
    },
    panels: place(panels),
  };
}
