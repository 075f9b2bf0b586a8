// A TCP proxy in front of one node, which drops responses and connections, as networks and load balancers do.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class LossyProxy {
  #target;
  #pairs = new Set();
  #drops = new Map();
  /** Method and path of all requests so far. */
  requests = [];

  static async start(url) {
    const proxy = new LossyProxy();
    proxy.setTarget(url);
    proxy.server = createServer((client) => proxy.#forward(client)).listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  /** New connections go to this node; null refuses them. */
  setTarget(url) {
    this.#target = url === null ? null : Number(new URL(url).port);
  }

  /** Drops the next responses to a path, and their connections. The node has processed the requests. */
  dropResponses(path, count = 1) {
    this.#drops.set(path, count);
  }

  /** Closes every connection. */
  disconnectAll() {
    for (const [client, node] of this.#pairs) {
      client.destroy();
      node.destroy();
    }
  }

  /** Keeps open connections open, but forwards nothing to clients, as if a cable were pulled. */
  stall() {
    for (const pair of this.#pairs) pair.stalled = true;
  }

  close() {
    this.server.close();
    this.disconnectAll();
  }

  #forward(client) {
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
      const request = /^[A-Z]+ (\S+) HTTP/.exec(bytes.toString('latin1'));
      if (request) {
        path = request[1];
        this.requests.push(request[0]);
      }
      node.write(bytes);
    });
    node.on('data', (bytes) => {
      const remaining = this.#drops.get(path) ?? 0;
      if (remaining > 0) {
        this.#drops.set(path, remaining - 1);
        return end();
      }
      if (!pair.stalled) client.write(bytes);
    });
  }
}
