// Dashboard for Redis, Postgres and the ledger.

import { dashboard, graph, line, metric, quantile, rate, row, stat } from "./panel.mjs";

const SCRIPT = "laurel_redis_script_duration_seconds";
const COMMAND = "laurel_redis_command_duration_seconds";
const CALL = "laurel_postgres_call_duration_seconds";
const onLeader = (name) => `max(${metric(name)} * on (job, instance) ${metric("laurel_ledger_leader")})`;
const onLeaderBy = (label, name) =>
  `max by (${label}) (${metric(name)} * on (job, instance) group_left () ${metric("laurel_ledger_leader")})`;
const node = "{{instance}}";

export default dashboard(
  "laurel-stores",
  "Laurel: stores and ledger",
  "Redis, Postgres, and the outbox between them.",
  [
    stat("Outbox entries not in Postgres", "none", [line("entries", `max(${metric("laurel_outbox_entries")})`)], {
      limits: [10000], alerts: ["LaurelOutboxGrowing"],
    }),
    stat("Dead letters", "none", [line("entries", onLeader("laurel_dead_letters_waiting"))], {
      limits: [1], alerts: ["LaurelDeadLetters"], about: "Entries that could not be written to the ledger and wait for an operator.",
    }),
    stat("Mismatches", "none", [line("mismatches", onLeader("laurel_ledger_mismatches"))], {
      limits: [1], alerts: ["LaurelLedgerMismatch"], about: "Between Redis and the ledger, found by the last consistency check.",
    }),
    stat("Users checked per hour", "none", [line("users", `sum(increase(${metric("laurel_ledger_checked_users_total")}[1h]))`)], {
      decimals: 0, alerts: ["LaurelLedgerMismatch"],
    }),
    stat("Board loads per day", "none", [line("loads", `sum(increase(${metric("laurel_board_rebuilds_total")}[1d]))`)], {
      decimals: 0, about: "Loads from the ledger because Redis was incomplete. The log has the reason.",
    }),
    stat("Ledger leaders", "none", [line("leaders", 'sum(laurel_ledger_leader{job="laurel"})')], {
      limits: [1, 2], colors: ["red", "green", "orange"], alerts: ["LaurelNoLeader"],
    }),

    graph("Nodes connected, by store", "none", [line("{{store}}", `sum by (store) (${metric("laurel_store_up")})`)], {
      alerts: ["LaurelAwardsRefused"],
    }),

    row("Ledger"),
    graph("Ledger lag: age of the oldest entry at commit", "s", [
      line("50 %", quantile(0.5, "laurel_ledger_lag_seconds")),
      line("95 %", quantile(0.95, "laurel_ledger_lag_seconds")),
    ], { limits: [2], alerts: ["LaurelLedgerLagging"] }),
    graph("Outbox entries not in Postgres, as reported by each node", "none", [line(node, metric("laurel_outbox_entries"))], {
      limits: [10000], alerts: ["LaurelOutboxGrowing"],
    }),
    graph("Entries written per second", "none", [line(node, rate("laurel_ledger_entries_total", "instance"))], {
      about: "By the leader.",
    }),
    graph("Duration of a batch", "s", [
      line("50 %", quantile(0.5, "laurel_ledger_batch_duration_seconds")),
      line("99 %", quantile(0.99, "laurel_ledger_batch_duration_seconds")),
    ], { alerts: ["LaurelOutboxGrowing"] }),
    graph("Entries per batch, mean", "none", [
      line("entries", `${rate("laurel_ledger_entries_total")} / ${rate("laurel_ledger_batch_duration_seconds_count")}`),
    ]),
    graph("Ledger leader", "none", [line(node, metric("laurel_ledger_leader"))], { max: 1, alerts: ["LaurelNoLeader"] }),

    row("Boards"),
    graph("Seconds the boards are behind", "s", [line("lag", onLeader("laurel_boards_lag_seconds"))], {
      limits: [60], alerts: ["LaurelBoardsStale"],
    }),
    graph("Ledger entries applied to the boards per second", "none", [line(node, rate("laurel_boards_applied_total", "instance"))], {
      about: "By the leader.", alerts: ["LaurelBoardsStale"],
    }),
    graph("Players on the current period, by board", "none", [line("{{board}}", onLeaderBy("board", "laurel_board_entries"))]),
    graph("Loads of boards from the ledger per hour", "none", [
      line("{{board}}", `sum by (board) (increase(${metric("laurel_board_loads_total")}[1h]))`),
    ], { about: "A board is loaded when a period begins, when Redis lost it, or on request.", alerts: ["LaurelBoardsStale"] }),
    graph("Seconds that a close is late, by board", "s", [line("{{board}}", onLeaderBy("board", "laurel_board_close_overdue_seconds"))], {
      limits: [300], alerts: ["LaurelBoardCloseLate"],
    }),

    row("Redis"),
    graph("Redis scripts per second", "ops", [line("{{script}}", rate(`${SCRIPT}_count`, "script"))]),
    graph("Duration of Redis scripts, 99th percentile", "s", [line("{{script}}", quantile(0.99, SCRIPT, "script"))], { alerts: ["LaurelBoardLate"] }),
    graph("Failed Redis calls per second", "ops", [
      line("{{script}}", rate(`${SCRIPT}_count`, "script", 'result="error"')),
      line("{{operation}}", rate(`${COMMAND}_count`, "operation", 'result="error"')),
    ], { alerts: ["LaurelAwardsRefused"] }),
    graph("Redis commands per second, without scripts", "ops", [line("{{operation}}", rate(`${COMMAND}_count`, "operation"))]),
    graph("Duration of Redis commands, 99th percentile", "s", [line("{{operation}}", quantile(0.99, COMMAND, "operation"))]),
    graph("Redis connections for blocking commands", "none", [
      line(`${node} in use`, metric("laurel_pool_connections_in_use", 'pool="redis"')),
      line(`${node} open`, metric("laurel_pool_connections_open", 'pool="redis"')),
    ]),

    row("Postgres"),
    graph("Postgres calls per second", "ops", [line("{{operation}}", rate(`${CALL}_count`, "operation"))]),
    graph("Duration of Postgres calls, 99th percentile", "s", [line("{{operation}}", quantile(0.99, CALL, "operation"))], {
      about: "Includes the wait for a connection.", alerts: ["LaurelOutboxGrowing", "LaurelLedgerLagging"],
    }),
    graph("Failed Postgres calls per second", "ops", [line("{{operation}}", rate(`${CALL}_count`, "operation", 'result="error"'))], {
      about: "Includes canceled calls.", alerts: ["LaurelLedgerLagging"],
    }),
    graph("Postgres connections", "none", [
      line(`${node} in use`, metric("laurel_pool_connections_in_use", 'pool="postgres"')),
      line(`${node} open`, metric("laurel_pool_connections_open", 'pool="postgres"')),
    ], { about: "If all postgres.max_connections are in use, requests wait." }),
  ],
);
