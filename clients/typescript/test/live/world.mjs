// What a script stands on: nodes that were started for it, and players.

import { Laurel } from '../../dist/index.js';

/** Nodes with their process ids, the newest last. */
export const nodes = JSON.parse(process.env.LAUREL_NODES);

let made = 0;

/** A client whose player was registered. */
export async function player(options = {}) {
  const laurel = new Laurel({ url: nodes[0].url, ...options });
  made += 1;
  const username = `${options.name ?? 'player'}${made}`;
  await laurel.register({ username, email: `${username}@example.com`, password: 'correct horse' });
  return laurel;
}

/** What a live connection tells, kept, and what waits for it. */
export function recorder() {
  const heard = { boards: [], personal: [], statuses: [], states: [] };
  const waiting = new Set();
  const look = () => {
    for (const it of [...waiting]) {
      const found = it.condition(heard);
      if (!found) continue;
      waiting.delete(it);
      clearTimeout(it.timer);
      it.resolve(found);
    }
  };
  const keep = (list) => (...told) => {
    list.push(told.length === 1 ? told[0] : told);
    look();
  };
  return {
    heard,
    hooks: {
      onBoard: keep(heard.boards),
      onPersonal: keep(heard.personal),
      onStatus: keep(heard.statuses),
      onState: keep(heard.states),
    },
    until(what, condition) {
      return new Promise((resolve, reject) => {
        const fail = () => reject(new Error(`waited for ${what}: ${JSON.stringify(heard).slice(-600)}`));
        waiting.add({ condition, resolve, timer: setTimeout(fail, 300_000) });
        look();
      });
    },
  };
}

/** The newest state. */
export const state = (heard) => heard.states.at(-1)?.[0];

/** A user's score as a live board shows it. */
export const scoreOn = (board, laurel) => board?.rows.find((it) => it.userId === laurel.user.uuid)?.score;

/** Waits until something that is asked for holds. */
export async function eventually(what, look) {
  for (const end = performance.now() + 300_000; performance.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited for ${what}`);
}

const CAPITALS = {
  France: 'Paris', Australia: 'Canberra', Canada: 'Ottawa', Kenya: 'Nairobi', Brazil: 'Brasília', Turkey: 'Ankara',
  'New Zealand': 'Wellington', Morocco: 'Rabat', Vietnam: 'Hanoi', Switzerland: 'Bern',
};

/** Knows the answers of the shipped bank. */
export const quiz = ({ question }) => ({ quizResult: CAPITALS[/of (.*)\?/.exec(question)[1]] });
