// As much of k6's modules as the scenarios use: enough to run them, not to measure with them.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import ws from 'ws';

/** What a run met with: names of checks that failed, and values of metrics, by name and by name with its tag. */
export const met = { checks: 0, failed: [], metrics: new Set(['checks', 'dropped_iterations']) };

export const execution = { scenario: { iterationInTest: 0 } };

globalThis.__ENV = process.env;
globalThis.open = (path) => readFileSync(path, 'utf8');

/** k6's requests wait for their answers; curl does that here. */
function request(method, url, body, { headers, tags }) {
  const given = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const data = body === null ? [] : ['--data', body];
  const out = execFileSync('curl', ['-s', '-X', method, '-w', '\n%{http_code}', ...given, ...data, url], { encoding: 'utf8' });
  const end = out.lastIndexOf('\n');
  met.metrics.add('http_req_duration').add(`http_req_duration{name:${tags.name}}`);
  return { status: Number(out.slice(end + 1)), json: () => JSON.parse(out.slice(0, end)) };
}

export const http = {
  get: (url, params) => request('GET', url, null, params),
  post: (url, body, params) => request('POST', url, body, params),
};

export function check(value, checks) {
  const failed = Object.entries(checks).filter(([, holds]) => !holds(value));
  met.checks += Object.keys(checks).length;
  met.failed.push(...failed.map(([name]) => name));
  return failed.length === 0;
}

export class SharedArray {
  constructor(_, make) {
    return make();
  }
}

class Metric {
  constructor(name) {
    this.name = name;
    met.metrics.add(name);
    met[name] = 0;
  }

  add() {
    met[this.name] += 1;
  }
}

export { Metric as Counter, Metric as Trend };

export class WebSocket extends ws {
  constructor(url, protocols, params) {
    super(url, protocols ?? [], params);
  }
}

export default { ...http, ...execution };
