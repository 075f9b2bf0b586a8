// The game API: each iteration is a session of ten awards.

import { paced, play, player } from './laurel.js';

export const options = {
  scenarios: { game: paced(20) },
  thresholds: {
    checks: ['rate>0.999'],
    dropped_iterations: ['count<1'],
    'http_req_duration{name:start}': ['p(99)<50'],
    'http_req_duration{name:update}': ['p(99)<50'],
    'http_req_duration{name:end}': ['p(99)<50'],
  },
};

export default function () {
  play(player(), 10);
}
