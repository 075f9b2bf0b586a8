// The actions API: each iteration is an award, init and finalize.

import { act, paced, player } from './laurel.js';

export const options = {
  scenarios: { actions: paced(200) },
  thresholds: {
    checks: ['rate>0.999'],
    dropped_iterations: ['count<1'],
    'http_req_duration{name:init}': ['p(99)<50'],
    'http_req_duration{name:finalize}': ['p(99)<50'],
  },
};

export default function () {
  act(player());
}
