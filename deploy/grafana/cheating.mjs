// For whoever looks for cheating: what is tried, what it comes to, and what keeps it out.

import { dashboard, graph, line, number, quantile, rate, row } from "./panel.mjs";

const share = (some, all) => `(${some} or vector(0)) / ${all}`;

export default dashboard(
  "laurel-cheating",
  "Laurel: cheating",
  "What is tried, and what keeps it out. Who it is: /api/admin/suspects.",
  [
    number("Signs of cheating per second", "none", [line("signs", rate("laurel_abuse_signals_total"))], { width: 6, decimals: 1 }),
    number("Proofs that fail, share", "percentunit", [
      line("share", share(rate("laurel_proofs_total", "", 'result="fails"'), rate("laurel_proofs_total"))),
    ], { width: 6 }),
    number("Requests refused from memory per second", "none", [line("refused", rate("laurel_rate_limited_total"))], {
      width: 6, decimals: 1, limits: [100], alerts: ["LaurelFlood"],
    }),
    number("Awards per second", "none", [line("awards", rate("laurel_awards_total"))], { width: 6, decimals: 1 }),

    row("What is tried"),
    graph("Signs of cheating per second, by sign", "none", [line("{{signal}}", rate("laurel_abuse_signals_total", "sign"))], {
      width: 12, stacked: true, says: "forged and foreign tokens come from no honest client; expired and replayed ones also from a slow network.",
    }),
    graph("Refusals per second, by code", "none", [line("{{code}}", rate("laurel_refusals_total", "code"))], { width: 12 }),

    row("Proofs"),
    graph("Proofs that hold per second, by kind", "none", [line("{{kind}}", rate("laurel_proofs_total", "kind", 'result="holds"'))], { width: 12 }),
    graph("Proofs that fail per second, by kind", "none", [line("{{kind}}", rate("laurel_proofs_total", "kind", 'result="fails"'))], { width: 12 }),
    graph("Proofs for a webhook to judge per second, by result", "none", [
      line("{{result}}", rate("laurel_webhook_calls_total", "result")),
    ], {
      width: 12, alerts: ["LaurelAwardsRefused"],
      says: "failed: no usable answer in time; open: not asked, since it failed often; busy: too many questions at once. Those awards get 503.",
    }),
    graph("Time to judge and answer a request for points: 99 % within", "s", [
      line("{{route}}", quantile(0.99, "laurel_http_request_duration_seconds", "route",
        'method="POST", route=~"/api/v1/actions/finalize|/api/v1/action-tokens|/api/score/update"')),
    ], { width: 12 }),

    row("Floods"),
    graph("Requests refused from memory per second, by limit", "none", [line("{{scope}}", rate("laurel_rate_limited_total", "by"))], {
      width: 12, limits: [100], alerts: ["LaurelFlood"],
    }),
    graph("Listeners refused per second, by reason", "none", [line("{{reason}}", rate("laurel_sockets_refused_total", "reason"))], { width: 12 }),
  ],
);
