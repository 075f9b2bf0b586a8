// For whoever looks after Redis, Postgres and the ledger between them.

import { dashboard, graph, line, number, of, quantile, rate, row } from "./panel.mjs";

const SCRIPT = "laurel_redis_script_duration_seconds";
const COMMAND = "laurel_redis_command_duration_seconds";
const CALL = "laurel_postgres_call_duration_seconds";
const led = (name) => `max(${of(name)} * on (job, instance) ${of("laurel_ledger_leader")})`;
const node = "{{instance}}";

export default dashboard(
  "laurel-stores",
  "Laurel: stores and ledger",
  "Redis decides, Postgres keeps, and the outbox carries what happened from one to the other.",
  [
    number("Entries not yet in Postgres", "none", [line("entries", `max(${of("laurel_outbox_entries")})`)], {
      limits: [10000], alerts: ["LaurelOutboxGrowing"],
    }),
    number("Dead letters", "none", [line("entries", led("laurel_dead_letters_waiting"))], {
      limits: [1], alerts: ["LaurelDeadLetters"], says: "Entries that could not be written to the ledger, and wait for an operator.",
    }),
    number("Differences found", "none", [line("differences", led("laurel_ledger_mismatches"))], {
      limits: [1], alerts: ["LaurelLedgerMismatch"], says: "Between Redis and the ledger, by the last light check.",
    }),
    number("Users compared in an hour", "none", [line("users", `sum(increase(${of("laurel_ledger_checked_users_total")}[1h]))`)], {
      decimals: 0, alerts: ["LaurelLedgerMismatch"],
    }),
    number("Boards loaded in a day", "none", [line("loads", `sum(increase(${of("laurel_board_rebuilds_total")}[1d]))`)], {
      decimals: 0, says: "From the ledger, because Redis lacked something. The log says why.",
    }),
    number("Nodes that write the ledger", "none", [line("leaders", 'sum(laurel_ledger_leader{job="laurel"})')], {
      limits: [1, 2], colors: ["red", "green", "orange"], alerts: ["LaurelNoLeader"],
    }),

    graph("Nodes that reach each store", "none", [line("{{store}}", `sum by (store) (${of("laurel_store_up")})`)], {
      alerts: ["LaurelAwardsRefused"],
    }),

    row("Ledger"),
    graph("From an award to its commit, oldest of a batch", "s", [
      line("50 %", quantile(0.5, "laurel_ledger_lag_seconds")),
      line("95 %", quantile(0.95, "laurel_ledger_lag_seconds")),
    ], { limits: [2], alerts: ["LaurelLedgerLagging"] }),
    graph("Entries not yet in Postgres, by each node's look", "none", [line(node, of("laurel_outbox_entries"))], {
      limits: [10000], alerts: ["LaurelOutboxGrowing"],
    }),
    graph("Entries written per second", "none", [line(node, rate("laurel_ledger_entries_total", "instance"))], {
      says: "By the node that leads.",
    }),
    graph("Time to write a batch", "s", [
      line("50 %", quantile(0.5, "laurel_ledger_batch_duration_seconds")),
      line("99 %", quantile(0.99, "laurel_ledger_batch_duration_seconds")),
    ], { alerts: ["LaurelOutboxGrowing"] }),
    graph("Entries in a batch, mean", "none", [
      line("entries", `${rate("laurel_ledger_entries_total")} / ${rate("laurel_ledger_batch_duration_seconds_count")}`),
    ]),
    graph("Who leads", "none", [line(node, of("laurel_ledger_leader"))], { max: 1, alerts: ["LaurelNoLeader"] }),

    row("Redis"),
    graph("Redis scripts per second", "ops", [line("{{script}}", rate(`${SCRIPT}_count`, "script"))]),
    graph("Time of a Redis script: 99 % within", "s", [line("{{script}}", quantile(0.99, SCRIPT, "script"))], { alerts: ["LaurelBoardLate"] }),
    graph("Redis calls that failed per second", "ops", [
      line("{{script}}", rate(`${SCRIPT}_count`, "script", 'result="error"')),
      line("{{operation}}", rate(`${COMMAND}_count`, "operation", 'result="error"')),
    ], { alerts: ["LaurelAwardsRefused"] }),
    graph("Redis commands outside scripts per second", "ops", [line("{{operation}}", rate(`${COMMAND}_count`, "operation"))]),
    graph("Time of a Redis command: 99 % within", "s", [line("{{operation}}", quantile(0.99, COMMAND, "operation"))]),
    graph("Redis' blocking connections", "none", [
      line(`${node} in use`, of("laurel_pool_connections_in_use", 'pool="redis"')),
      line(`${node} open`, of("laurel_pool_connections_open", 'pool="redis"')),
    ]),

    row("Postgres"),
    graph("Postgres calls per second", "ops", [line("{{operation}}", rate(`${CALL}_count`, "operation"))]),
    graph("Time of a Postgres call: 99 % within", "s", [line("{{operation}}", quantile(0.99, CALL, "operation"))], {
      says: "The wait for a connection is in it.", alerts: ["LaurelOutboxGrowing", "LaurelLedgerLagging"],
    }),
    graph("Postgres calls that failed per second", "ops", [line("{{operation}}", rate(`${CALL}_count`, "operation", 'result="error"'))], {
      says: "Also those that were given up.", alerts: ["LaurelLedgerLagging"],
    }),
    graph("Postgres' connections", "none", [
      line(`${node} in use`, of("laurel_pool_connections_in_use", 'pool="postgres"')),
      line(`${node} open`, of("laurel_pool_connections_open", 'pool="postgres"')),
    ], { says: "All of postgres.max_connections in use: requests wait." }),
  ],
);
