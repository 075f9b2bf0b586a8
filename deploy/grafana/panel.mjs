// Builders for queries, panels and dashboards.

const NODES = 'job="laurel", instance=~"$node"';

/** Selector of a metric for the selected nodes. */
export const metric = (name, labels = "") => `${name}{${NODES}${labels && `, ${labels}`}}`;

/** Sum of a counter's rate per second. `by` is a list of labels, or empty for one line. */
export const rate = (name, by = "", labels = "") =>
  `${sum(by)} (rate(${metric(name, labels)}[$__rate_interval]))`;

/** Quantile `q` of a histogram. */
export const quantile = (q, name, by = "", labels = "") =>
  `histogram_quantile(${q}, ${sum(by ? `${by}, le` : "le")} (rate(${metric(`${name}_bucket`, labels)}[$__rate_interval])))`;

export const sum = (by) => (by ? `sum by (${by})` : "sum");

/** A query and its legend. */
export const line = (legend, expr) => ({ legend, expr });

const alert = (name) => ({
  title: `Runbook: ${name}`,
  url: `\${docs}#${name.toLowerCase()}`,
  targetBlank: true,
});

function frame(type, title, unit, targets, options) {
  const { width = 8, height = 8, about = "", limits = [], alerts = [], min = 0, max, decimals } = options;
  const [ok, ...above] = options.colors ?? ["green", "orange", "red"];
  // A single limit is red. Of two, the first is orange (ticket) and the second red (page).
  const colors = limits.length === 1 ? above.slice(-1) : above;
  return {
    type,
    title,
    description: about,
    links: alerts.map(alert),
    size: { width, height },
    datasource: { type: "prometheus", uid: "${datasource}" },
    targets: targets.map(({ legend, expr }, index) => ({
      refId: String.fromCharCode(65 + index),
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
          steps: [{ color: ok, value: null }, ...limits.map((value, index) => ({ color: colors[index], value }))],
        },
      },
      overrides: [],
    },
  };
}

/** A time series. `limits` are drawn as lines: the thresholds of the alerts named in `alerts`. */
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

/** A single current value. */
export function stat(title, unit, targets, options = {}) {
  const panel = frame("stat", title, unit, targets, { width: 4, height: 4, ...options });
  panel.options = {
    colorMode: "background",
    graphMode: "none",
    textMode: targets.length > 1 ? "value_and_name" : "value",
    reduceOptions: { calcs: ["lastNotNull"] },
  };
  return panel;
}

/** A heading for the panels after it. */
export const row = (title) => ({
  type: "row",
  title,
  collapsed: false,
  panels: [],
  size: { width: 24, height: 1 },
});

/** Positions panels from left to right, in rows. */
function place(panels) {
  let [x, y, height] = [0, 0, 0];
  return panels.map(({ size, ...panel }, index) => {
    if (x + size.width > 24) [x, y, height] = [0, y + height, 0];
    const gridPos = { x, y, w: size.width, h: size.height };
    [x, height] = [x + size.width, Math.max(height, size.height)];
    return { id: index + 1, gridPos, ...panel };
  });
}

const variable = (name, label, rest) => ({ name, label, hide: 0, ...rest });

/** A dashboard with links to the others. */
export function dashboard(uid, title, about, panels) {
  const prometheus = { type: "prometheus", uid: "${datasource}" };
  return {
    uid,
    title,
    description: about,
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
        variable("docs", "URL of docs/operations.md", {
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
