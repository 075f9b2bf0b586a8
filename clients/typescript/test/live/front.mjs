// A TCP front before one node at a time, which can lose what passes: as networks and balancers do.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Front {
  #target;
  #pairs = new Set();
  #toLose = new Map();
  #frozen = false;
  /** First lines of all requests that passed. */
  requests = [];

  static async before(url) {
    const front = new Front();
    front.to(url);
    front.server = createServer((client) => front.#carry(client)).listen(0, '127.0.0.1');
    await once(front.server, 'listening');
    front.url = `http://127.0.0.1:${front.server.address().port}`;
    return front;
  }

  /** New connections go there from now on; null: nobody answers. */
  to(url) {
    this.#target = url === null ? null : Number(new URL(url).port);
  }

  /** The next answers to a path are lost on their way back: they were given, and nobody hears them. */
  loseAnswers(path, count = 1) {
    this.#toLose.set(path, count);
  }

  /** Ends every connection. */
  cut() {
    for (const [client, node] of this.#pairs) {
      client.destroy();
      node.destroy();
    }
  }

  /** From now on nothing comes back on the connections that are open, and nobody is told: a cable was pulled. */
  freeze() {
    for (const pair of this.#pairs) pair.frozen = true;
  }

  close() {
    this.server.close();
    this.cut();
  }

  #carry(client) {
    if (this.#target === null) return client.destroy();
    const node = connect(this.#target, '127.0.0.1');
    const pair = [client, node];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      node.destroy();
    };
    for (const side of pair) side.on('error', end).on('close', end);
    let path = '';
    client.on('data', (bytes) => {
      const first = /^[A-Z]+ (\S+) HTTP/.exec(bytes.toString('latin1'));
      if (first) {
        path = first[1];
        this.requests.push(first[0]);
      }
      node.write(bytes);
    });
    node.on('data', (bytes) => {
      const left = this.#toLose.get(path) ?? 0;
      if (left > 0) {
        this.#toLose.set(path, left - 1);
        return end();
      }
      if (!pair.frozen) client.write(bytes);
    });
  }
}
