// The nodes that tests/client.rs started for a script, and players.

import { Laurel } from '../../dist/index.js';

/** URL and process id of each node. */
export const nodes = JSON.parse(process.env.LAUREL_NODES);

let players = 0;

/** Registers a player. Returns the client. */
export async function player(options = {}) {
  const laurel = new Laurel({ url: nodes[0].url, ...options });
  players += 1;
  const username = `${options.name ?? 'player'}${players}`;
  await laurel.register({ username, email: `${username}@example.com`, password: 'correct horse' });
  return laurel;
}

/** Records the events of a live connection, and waits for conditions on them. */
export function recorder() {
  const received = { boards: [], personal: [], statuses: [], states: [] };
  const waiters = new Set();
  const check = () => {
    for (const waiter of [...waiters]) {
      const result = waiter.condition(received);
      if (!result) continue;
      waiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve(result);
    }
  };
  const record = (list) => (...event) => {
    list.push(event.length === 1 ? event[0] : event);
    check();
  };
  return {
    received,
    hooks: {
      onBoard: record(received.boards),
      onPersonal: record(received.personal),
      onStatus: record(received.statuses),
      onState: record(received.states),
    },
    until(what, condition) {
      return new Promise((resolve, reject) => {
        const fail = () => reject(new Error(`waited for ${what}: ${JSON.stringify(received).slice(-600)}`));
        waiters.add({ condition, resolve, timer: setTimeout(fail, 300_000) });
        check();
      });
    },
  };
}

/** The current state. */
export const state = (received) => received.states.at(-1)?.[0];

/** A user's score on a live board. */
export const scoreOn = (board, laurel) => board?.rows.find((it) => it.userId === laurel.user.uuid)?.score;

/** Polls until a condition returns a value. */
export async function eventually(what, poll) {
  for (const end = performance.now() + 300_000; performance.now() < end; ) {
    const result = await poll();
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited for ${what}`);
}

const CAPITALS = {
  France: 'Paris', Australia: 'Canberra', Canada: 'Ottawa', Kenya: 'Nairobi', Brazil: 'Brasília', Turkey: 'Ankara',
  'New Zealand': 'Wellington', Morocco: 'Rabat', Vietnam: 'Hanoi', Switzerland: 'Bern',
};

/** The proof of a question of the built-in bank. */
export const quiz = ({ question }) => ({ quizResult: CAPITALS[/of (.*)\?/.exec(question)[1]] });
