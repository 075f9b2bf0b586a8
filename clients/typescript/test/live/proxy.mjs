// A TCP proxy in front of one node, which can lose responses and connections, like networks and balancers.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class TcpProxy {
  #target;
  #pairs = new Set();
  #responsesToLose = new Map();
  /** Request lines of all requests. */
  requests = [];

  static async start(url) {
    const proxy = new TcpProxy();
    proxy.setTarget(url);
    proxy.server = createServer((client) => proxy.#forward(client)).listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  /** Sets the node for new connections. With null, they are refused. */
  setTarget(url) {
    this.#target = url === null ? null : Number(new URL(url).port);
  }

  /** Loses the next responses to a path, and closes their connections. */
  loseResponses(path, count = 1) {
    this.#responsesToLose.set(path, count);
  }

  /** Closes all connections. */
  cut() {
    for (const [client, node] of this.#pairs) {
      client.destroy();
      node.destroy();
    }
  }

  /** Drops everything that nodes send on the open connections, without closing them, like a pulled cable. */
  freeze() {
    for (const pair of this.#pairs) pair.isFrozen = true;
  }

  close() {
    this.server.close();
    this.cut();
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
      const requestLine = /^[A-Z]+ (\S+) HTTP/.exec(bytes.toString('latin1'));
      if (requestLine) {
        path = requestLine[1];
        this.requests.push(requestLine[0]);
      }
      node.write(bytes);
    });
    node.on('data', (bytes) => {
      const count = this.#responsesToLose.get(path) ?? 0;
      if (count > 0) {
        this.#responsesToLose.set(path, count - 1);
        return end();
      }
      if (!pair.isFrozen) client.write(bytes);
    });
  }
}
