// Dashboard for the operator on call: are the objectives met, and if not, what is wrong.

import { dashboard, graph, line, metric, quantile, rate, row, stat } from "./panel.mjs";

const REQUESTS = "laurel_http_request_duration_seconds";
const APIS = [
  ["actions API", 'route=~"/api/v1/actions/(init|finalize)"'],
  ["verified tokens", 'route=~"/api/v1/(action-tokens|scores)"'],
  ["game API", 'route=~"/api/game/.+|/api/score/update"'],
  ["board reads", 'method="GET", route=~"/api/v1/scores/leaderboard|/api/scoreboard/top10"'],
  ["auth", 'route=~"/api/auth/.+"'],
];
const AWARDS =
  'route=~"/api/v1/actions/init|/api/v1/actions/finalize|/api/v1/action-tokens|/api/v1/scores|/api/game/start|/api/score/update"';
const byApi = (query) => APIS.map(([api, labels]) => line(api, query(labels)));
const node = "{{instance}}";

export default dashboard(
  "laurel-overview",
  "Laurel: overview",
  "Service level objectives, requests, delivery of boards, and resources of the nodes.",
  [
    stat("Alerts firing", "none", [
      line("alerts", 'count(ALERTS{alertname=~"Laurel.+", alertstate="firing"}) or vector(0)'),
    ], { limits: [1], about: "Graphs mark firing alerts with their names." }),
    stat("Nodes up", "none", [line("nodes", 'sum(up{job="laurel"})')], {
      limits: [1], colors: ["red", "green"], alerts: ["LaurelNodeDown"],
    }),
    stat("Ledger leaders", "none", [line("leaders", 'sum(laurel_ledger_leader{job="laurel"})')], {
      limits: [1, 2], colors: ["red", "green", "orange"], alerts: ["LaurelNoLeader"], about: "Over all nodes. There must be exactly one.",
    }),
    stat("Awards per second", "none", [line("awards", rate("laurel_awards_total"))], { decimals: 1 }),
    stat("Subscribers", "none", [line("subscribers", `sum(${metric("laurel_sockets")})`)]),
    stat("Outbox entries not in Postgres", "none", [line("entries", `max(${metric("laurel_outbox_entries")})`)], {
      limits: [10000], alerts: ["LaurelOutboxGrowing"],
    }),

    row("Objectives"),
    graph("Burn rate of the error budget over 1 h", "none", [
      line("{{slo}}", "slo:errors:ratio1h / on (slo) group_left () slo:budget:ratio"),
    ], {
      width: 12, limits: [6, 14.4], alerts: ["LaurelErrorBudgetBurnFast", "LaurelErrorBudgetBurnSlow"],
      about: "At 1 the 30-day budget lasts 30 days. Over all nodes.",
    }),
    graph("Burn rate of the error budget over 5 min", "none", [
      line("{{slo}}", "slo:errors:ratio5m / on (slo) group_left () slo:budget:ratio"),
    ], { width: 12, limits: [14.4], alerts: ["LaurelErrorBudgetBurnFast"], about: "What it comes to at this hlc_us." }),

    row("Requests"),
    graph("Awards per second, by action", "none", [line("{{action}}", rate("laurel_awards_total", "action"))], { stacked: true }),
    graph("Requests per second, by API", "reqps", byApi((labels) => rate(`${REQUESTS}_count`, "", labels))),
    graph("Response time, 99th percentile, by API", "s", byApi((labels) => quantile(0.99, REQUESTS, "", labels)), {
      about: "Auth is slow by design: it hashes passwords.",
    }),
    graph("Refusals per second, by code", "none", [line("{{code}}", rate("laurel_refusals_total", "code"))]),
    graph("Logins and registrations per second, by result", "none", [
      line("login: {{result}}", rate("laurel_logins_total", "result")),
      line("registration: {{result}}", rate("laurel_registrations_total", "result")),
    ], { about: "ok, or the error code." }),
    graph("Share of award requests with SERVICE_UNAVAILABLE", "percentunit", [
      line("share", `(${rate(`${REQUESTS}_count`, "", `${AWARDS}, status="503"`)} or vector(0)) / ${rate(`${REQUESTS}_count`, "", AWARDS)}`),
    ], { limits: [0.01], alerts: ["LaurelAwardsRefused"] }),
    graph("Server errors per second, by route", "reqps", [
      line("{{status}} {{route}}", rate(`${REQUESTS}_count`, "status, route", 'status=~"5.."')),
    ], { alerts: ["LaurelAwardsRefused"] }),

    row("Board delivery"),
    graph("Delivery lag: from the change to the last socket write", "s", [
      line("50 %", quantile(0.5, "laurel_delivery_lag_seconds")),
      line("99 %", quantile(0.99, "laurel_delivery_lag_seconds")),
    ], { limits: [1], alerts: ["LaurelErrorBudgetBurnFast"], about: "Objective: 1 s. Without the network to the client." }),
    graph("From Redis to a node, 99th percentile", "s", [line(node, quantile(0.99, "laurel_board_lag_seconds", "instance"))], {
      limits: [0.5], alerts: ["LaurelBoardLate"],
    }),
    graph("From a node to its last subscriber, 99th percentile", "s", [line(node, quantile(0.99, "laurel_fanout_duration_seconds", "instance"))], {
      limits: [0.5], alerts: ["LaurelFanoutSlow"],
    }),
    graph("Subscribers, by protocol", "none", [line("{{protocol}}", `sum by (protocol) (${metric("laurel_sockets")})`)], { stacked: true }),
    graph("Subscribers accepted, closed and refused per second", "none", [
      line("accepted: {{protocol}}", rate("laurel_sockets_opened_total", "protocol")),
      line("closed: {{code}}", rate("laurel_sockets_closed_total", "code")),
      line("refused: {{reason}}", rate("laurel_subscribers_refused_total", "reason")),
    ], { alerts: ["LaurelSubscribersTooSlow"], about: "4008: the client does not read. 1012: the node drains. 1006: no pong." }),
    graph("Subscriptions to boards by name", "none", [line("{{board}}", `sum by (board) (${metric("laurel_board_subscribers")})`)], { stacked: true }),
    graph("Board updates skipped for slow subscribers, per second", "none", [line(node, rate("laurel_board_updates_skipped_total", "instance"))]),

    row("Resources"),
    graph("Nodes, by version", "none", [line("{{version}}", `count by (version) (${metric("laurel_build_info")})`)], { stacked: true }),
    graph("CPU cores in use", "none", [line(node, rate("process_cpu_seconds_total", "instance"))]),
    graph("Resident memory", "bytes", [line(node, metric("process_resident_memory_bytes"))]),
    graph("Open files, share of the limit", "percentunit", [
      line(node, `${metric("process_open_fds")} / ${metric("process_max_fds")}`),
    ], { limits: [0.9], max: 1, alerts: ["LaurelFilesNearLimit"] }),
    graph("TCP connections, by listener", "none", [line("{{listener}}", `sum by (listener) (${metric("laurel_connections")})`)]),
    graph("TCP connections refused and closed by the node, per second", "none", [
      line("refused: {{reason}}", rate("laurel_connections_refused_total", "reason")),
      line("closed: {{reason}}", rate("laurel_connections_closed_total", "reason")),
    ], { alerts: ["LaurelConnectionsRefused"], about: "network: limit of one client network. full: limit of the node, with no idle connection." }),
    graph("Tasks waiting for a worker thread", "none", [
      line(node, metric("laurel_runtime_waiting_tasks")),
      line(`${node} workers`, metric("laurel_runtime_workers")),
    ], { about: "More waiting tasks than workers for a long time: the CPU is overloaded." }),
    graph("Tasks", "none", [line(node, metric("laurel_runtime_tasks"))]),
    graph("Connections in use and open, by pool", "none", [
      line("{{pool}} in use", `sum by (pool) (${metric("laurel_pool_connections_in_use")})`),
      line("{{pool}} open", `sum by (pool) (${metric("laurel_pool_connections_open")})`),
    ], { about: "Redis: connections for blocking commands only." }),
  ],
);
