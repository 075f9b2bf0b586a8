// Runs a k6 scenario file a little: each of its scenarios a few times, listeners first. `run.mjs FILE`

import { check, execution, met } from 'k6';

const ITERATIONS = 6;

const file = await import(process.argv[2]);
const scenarios = Object.values(file.options.scenarios);
const listens = (it) => it.executor === 'per-vu-iterations';
for (const scenario of scenarios.toSorted((one, other) => listens(other) - listens(one))) {
  for (let place = 0; place < ITERATIONS; place += 1) {
    execution.scenario.iterationInTest = place;
    file[scenario.exec ?? 'default']();
    // Sockets hear what came, between requests that wait.
    await new Promise((done) => setTimeout(done, listens(scenario) ? 100 : 20));
  }
}
// Listeners leave by their own clock; then nothing is left to do.
process.on('beforeExit', () => {
  const metrics = Object.keys(file.options.thresholds);
  check(metrics, { 'each threshold is of a metric that there is': (all) => all.every((it) => met.metrics.has(it)) });
  console.log(JSON.stringify({ ...met, metrics: [...met.metrics] }));
  process.exit(met.failed.length === 0 && met.checks > 0 ? 0 : 1);
});
