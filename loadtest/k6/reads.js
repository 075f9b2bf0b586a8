// Clients that poll the board, and one of five who asks for the own rank.

import { board, paced, player, rank } from './laurel.js';
import exec from 'k6/execution';

export const options = {
  scenarios: { reads: paced(500) },
  thresholds: {
    checks: ['rate>0.999'],
    dropped_iterations: ['count<1'],
    'http_req_duration{name:board}': ['p(99)<25'],
    'http_req_duration{name:rank}': ['p(99)<25'],
  },
};

export default function () {
  if (exec.scenario.iterationInTest % 5 === 0) {
    rank(player());
  } else {
    board();
  }
}
