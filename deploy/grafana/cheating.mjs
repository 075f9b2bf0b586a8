// Dashboard for abuse: signals, proofs, and requests refused by limits.

import { dashboard, graph, line, quantile, rate, row, stat } from "./panel.mjs";

const share = (some, all) => `(${some} or vector(0)) / ${all}`;

export default dashboard(
  "laurel-cheating",
  "Laurel: cheating",
  "Abuse signals, proofs, and requests refused by limits. /api/admin/suspects lists players and addresses.",
  [
    stat("Abuse signals per second", "none", [line("signals", rate("laurel_abuse_signals_total"))], { width: 6, decimals: 1 }),
    stat("Share of invalid proofs", "percentunit", [
      line("share", share(rate("laurel_proofs_total", "", 'result="invalid"'), rate("laurel_proofs_total"))),
    ], { width: 6 }),
    stat("Rate-limited requests per second", "none", [line("refused", rate("laurel_rate_limited_total"))], {
      width: 6, decimals: 1, limits: [100], alerts: ["LaurelFlood"],
    }),
    stat("Awards per second", "none", [line("awards", rate("laurel_awards_total"))], { width: 6, decimals: 1 }),

    row("Abuse"),
    graph("Abuse signals per second, by kind", "none", [line("{{signal}}", rate("laurel_abuse_signals_total", "signal"))], {
      width: 12, stacked: true, about: "Honest clients never send forged or foreign tokens. Expired and replayed ones may also come from a slow network.",
    }),
    graph("Refusals per second, by code", "none", [line("{{code}}", rate("laurel_refusals_total", "code"))], { width: 12 }),

    row("Proofs"),
    graph("Valid proofs per second, by kind", "none", [line("{{kind}}", rate("laurel_proofs_total", "kind", 'result="valid"'))], { width: 12 }),
    graph("Invalid proofs per second, by kind", "none", [line("{{kind}}", rate("laurel_proofs_total", "kind", 'result="invalid"'))], { width: 12 }),
    graph("Webhook calls per second, by result", "none", [
      line("{{result}}", rate("laurel_webhook_calls_total", "result")),
    ], {
      width: 12, alerts: ["LaurelAwardsRefused"],
      about: "failed: no valid response in time. open: the circuit breaker is open. busy: too many calls at once. These awards get 503.",
    }),
    graph("Response time of requests with a proof, 99th percentile", "s", [
      line("{{route}}", quantile(0.99, "laurel_http_request_duration_seconds", "route",
        'method="POST", route=~"/api/v1/actions/finalize|/api/v1/action-tokens|/api/score/update"')),
    ], { width: 12 }),

    row("Floods"),
    graph("Rate-limited requests per second, by scope", "none", [line("{{scope}}", rate("laurel_rate_limited_total", "scope"))], {
      width: 12, limits: [100], alerts: ["LaurelFlood"],
    }),
    graph("Subscribers refused per second, by reason", "none", [line("{{reason}}", rate("laurel_subscribers_refused_total", "reason"))], { width: 12 }),
  ],
);
