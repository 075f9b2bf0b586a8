// For whoever is on call: is it kept what was promised, and if not, where to look next.

import { dashboard, graph, line, number, of, quantile, rate, row } from "./panel.mjs";

const REQUESTS = "laurel_http_request_duration_seconds";
const DOORS = [
  ["actions API", 'route=~"/api/v1/actions/(init|finalize)"'],
  ["verified tokens", 'route=~"/api/v1/(action-tokens|scores)"'],
  ["game API", 'route=~"/api/game/.+|/api/score/update"'],
  ["board reads", 'method="GET", route=~"/api/v1/scores/leaderboard|/api/scoreboard/top10"'],
  ["auth", 'route=~"/api/auth/.+"'],
];
const AWARDS =
  'route=~"/api/v1/actions/init|/api/v1/actions/finalize|/api/v1/action-tokens|/api/v1/scores|/api/game/start|/api/score/update"';
const flows = (query) => DOORS.map(([door, labels]) => line(door, query(labels)));
const node = "{{instance}}";

export default dashboard(
  "laurel-overview",
  "Laurel: overview",
  "What is promised, what players get, and what each node takes for it.",
  [
    number("Alerts firing", "none", [
      line("alerts", 'count(ALERTS{alertname=~"Laurel.+", alertstate="firing"}) or vector(0)'),
    ], { limits: [1], says: "They are marked in the graphs, with their names." }),
    number("Nodes that answer", "none", [line("nodes", 'sum(up{job="laurel"})')], {
      limits: [1], colors: ["red", "green"], alerts: ["LaurelNodeDown"],
    }),
    number("Nodes that write the ledger", "none", [line("leaders", 'sum(laurel_ledger_leader{job="laurel"})')], {
      limits: [1, 2], colors: ["red", "green", "orange"], alerts: ["LaurelNoLeader"], says: "One at a time, whichever nodes are chosen above.",
    }),
    number("Awards per second", "none", [line("awards", rate("laurel_awards_total"))], { decimals: 1 }),
    number("Listeners", "none", [line("listeners", `sum(${of("laurel_sockets")})`)]),
    number("Entries not yet in Postgres", "none", [line("entries", `max(${of("laurel_outbox_entries")})`)], {
      limits: [10000], alerts: ["LaurelOutboxGrowing"],
    }),

    row("What is promised"),
    graph("How many times faster than allowed a promise's budget is used, over 1 h", "none", [
      line("{{slo}}", "slo:errors:ratio1h / on (slo) group_left () slo:budget:ratio"),
    ], {
      width: 12, limits: [6, 14.4], alerts: ["LaurelErrorBudgetBurnFast", "LaurelErrorBudgetBurnSlow"],
      says: "At 1 the budget of 30 days lasts 30 days. All nodes together.",
    }),
    graph("The same over 5 min", "none", [
      line("{{slo}}", "slo:errors:ratio5m / on (slo) group_left () slo:budget:ratio"),
    ], { width: 12, limits: [14.4], alerts: ["LaurelErrorBudgetBurnFast"], says: "What it comes to at this hlc_us." }),

    row("What players get"),
    graph("Awards per second, by action", "none", [line("{{action}}", rate("laurel_awards_total", "action"))], { stacked: true }),
    graph("Requests per second, by door", "reqps", flows((it) => rate(`${REQUESTS}_count`, "", it))),
    graph("Time to answer: 99 % within, by door", "s", flows((it) => quantile(0.99, REQUESTS, "", it)), {
      says: "Auth hashes passwords, which takes its time on purpose.",
    }),
    graph("Refusals per second, by code", "none", [line("{{code}}", rate("laurel_refusals_total", "code"))]),
    graph("Logins and registrations per second, by result", "none", [
      line("login: {{result}}", rate("laurel_logins_total", "result")),
      line("registration: {{result}}", rate("laurel_registrations_total", "result")),
    ], { says: "ok, or the error's code." }),
    graph("Requests for points that got SERVICE_UNAVAILABLE, share", "percentunit", [
      line("share", `(${rate(`${REQUESTS}_count`, "", `${AWARDS}, status="503"`)} or vector(0)) / ${rate(`${REQUESTS}_count`, "", AWARDS)}`),
    ], { limits: [0.01], alerts: ["LaurelAwardsRefused"] }),
    graph("Requests per second with status 500 and above, by route", "reqps", [
      line("{{status}} {{route}}", rate(`${REQUESTS}_count`, "status, route", 'status=~"5.."')),
    ], { alerts: ["LaurelAwardsRefused"] }),

    row("What screens show"),
    graph("From a change to the last screen of a core", "s", [
      line("50 %", quantile(0.5, "laurel_delivery_lag_seconds")),
      line("99 %", quantile(0.99, "laurel_delivery_lag_seconds")),
    ], { limits: [1], alerts: ["LaurelErrorBudgetBurnFast"], says: "Promised within a second. The network to the client is not in it." }),
    graph("From Redis to a node: 99 % within", "s", [line(node, quantile(0.99, "laurel_board_lag_seconds", "instance"))], {
      limits: [0.5], alerts: ["LaurelBoardLate"],
    }),
    graph("From a node to its last listener: 99 % within", "s", [line(node, quantile(0.99, "laurel_fanout_duration_seconds", "instance"))], {
      limits: [0.5], alerts: ["LaurelFanoutSlow"],
    }),
    graph("Listeners, by protocol", "none", [line("{{protocol}}", `sum by (protocol) (${of("laurel_sockets")})`)], { stacked: true }),
    graph("Listeners that come, and that are closed or refused, per second", "none", [
      line("{{protocol}} come", rate("laurel_sockets_opened_total", "protocol")),
      line("closed with {{code}}", rate("laurel_sockets_closed_total", "code")),
      line("refused: {{reason}}", rate("laurel_sockets_refused_total", "reason")),
    ], { alerts: ["LaurelSubscribersTooSlow"], says: "4008: the client does not read. 1012: the node drains. 1006: silent." }),
    graph("Boards that slow listeners skip, per second", "none", [line(node, rate("laurel_board_updates_skipped_total", "instance"))]),

    row("What it takes"),
    graph("Nodes, by version", "none", [line("{{version}}", `count by (version) (${of("laurel_build_info")})`)], { stacked: true }),
    graph("CPU, cores", "none", [line(node, rate("process_cpu_seconds_total", "instance"))]),
    graph("Memory, resident", "bytes", [line(node, of("process_resident_memory_bytes"))]),
    graph("Files open, of those allowed", "percentunit", [
      line(node, `${of("process_open_fds")} / ${of("process_max_fds")}`),
    ], { limits: [0.9], max: 1, alerts: ["LaurelFilesNearLimit"] }),
    graph("TCP connections, by listener", "none", [line("{{listener}}", `sum by (listener) (${of("laurel_connections")})`)]),
    graph("TCP connections refused and closed by the node, per second", "none", [
      line("refused: {{reason}}", rate("laurel_connections_refused_total", "reason")),
      line("closed: {{reason}}", rate("laurel_connections_closed_total", "reason")),
    ], { alerts: ["LaurelConnectionsRefused"], says: "network: one client network has its limit. full: the node has, and none is idle." }),
    graph("Tasks that wait for a thread", "none", [
      line(node, of("laurel_runtime_waiting_tasks")),
      line(`${node} threads`, of("laurel_runtime_workers")),
    ], { says: "More than the threads, for long: the CPU is too slow for what comes." }),
    graph("Tasks", "none", [line(node, of("laurel_runtime_tasks"))]),
    graph("Connections in use and open, by pool", "none", [
      line("{{pool}} in use", `sum by (pool) (${of("laurel_pool_connections_in_use")})`),
      line("{{pool}} open", `sum by (pool) (${of("laurel_pool_connections_open")})`),
    ], { says: "Redis: the connections that may block. Calls share others." }),
  ],
);
