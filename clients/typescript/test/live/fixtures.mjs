// Shared by the scripts of this folder: the nodes that were started for them, and players.

import { Laurel } from '../../dist/index.js';

/** Nodes with their process ids, in the order in which the test started them. */
export const nodes = JSON.parse(process.env.LAUREL_NODES);

let players = 0;

/** A client with a newly registered player. */
export async function player(options = {}) {
  const laurel = new Laurel({ url: nodes[0].url, ...options });
  players += 1;
  const username = `${options.name ?? 'player'}${players}`;
  await laurel.register({ username, email: `${username}@example.com`, password: 'correct horse' });
  return laurel;
}

/** Records what a live connection delivers, and waits for conditions on it. */
export function recorder() {
  const received = { boards: [], personal: [], statuses: [], states: [], updates: [], ownEntries: [] };
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
  const recordTo = (list) => (...values) => {
    list.push(values.length === 1 ? values[0] : values);
    check();
  };
  return {
    received,
    hooks: {
      onBoard: recordTo(received.boards),
      onPersonal: recordTo(received.personal),
      onStatus: recordTo(received.statuses),
      onState: recordTo(received.states),
      onUpdate: recordTo(received.updates),
      onOwnEntry: recordTo(received.ownEntries),
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

/** The newest state. */
export const state = (received) => received.states.at(-1)?.[0];

/** A user's score on a live board. */
export const scoreOn = (board, laurel) => board?.rows.find((row) => row.userId === laurel.user.uuid)?.score;

/** Calls `check` until it returns something true. */
export async function eventually(what, check) {
  for (const end = performance.now() + 300_000; performance.now() < end; ) {
    const result = await check();
    if (result) return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited for ${what}`);
}

const CAPITALS = {
  France: 'Paris', Australia: 'Canberra', Canada: 'Ottawa', Kenya: 'Nairobi', Brazil: 'Brasília', Turkey: 'Ankara',
  'New Zealand': 'Wellington', Morocco: 'Rabat', Vietnam: 'Hanoi', Switzerland: 'Bern',
};

/** Answers the questions of the default catalogue. */
export const quiz = ({ question }) => ({ quizResult: CAPITALS[/of (.*)\?/.exec(question)[1]] });
