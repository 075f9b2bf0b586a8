// The cases of the official Engine.IO and Socket.IO test suites, run against the conformance example. Argument: its address.
import assert from "node:assert/strict";
import WebSocket from "ws";

const [base] = process.argv.slice(2);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
setTimeout(() => assert.fail("took too long"), 300_000).unref();

const http = async (path, query, method = "GET", body) => {
  const response = await fetch(`${base}/${path}/?${query}`, { method, body });
  return [response.status, await response.text()];
};
const openSession = async (path) => JSON.parse((await http(path, "EIO=4&transport=polling"))[1].slice(1)).sid;

// A WebSocket whose messages are received one by one; pings are answered and skipped unless `pings` is set.
function open(path, query = "EIO=4&transport=websocket", { pings = false } = {}) {
  const socket = new WebSocket(`${base.replace("http", "ws")}/${path}/?${query}`);
  const received = [];
  let wake = () => {};
  const put = (message) => { received.push(message); wake(); };
  socket.on("message", (data, binary) => {
    const message = binary ? Uint8Array.from(data) : data.toString();
    if (message === "2" && !pings) socket.send("3");
    else put(message);
  });
  socket.on("error", () => {});
  socket.on("close", () => put(null));
  const receive = async () => {
    while (received.length === 0) await new Promise((resolve) => { wake = resolve; });
    return received.shift();
  };
  const opened = new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  opened.catch(() => {});
  return { receive, opened, send: (message) => socket.send(message), closed: async () => { while ((await receive()) !== null); } };
}
// A connected Socket.IO client.
async function connect() {
  const socket = open("socket.io");
  await socket.receive();
  socket.send("40");
  assert.match(await socket.receive(), /^40\{"sid":"[^"]+"\}$/);
  assert.equal(await socket.receive(), '42["auth",{}]');
  return socket;
}

const cases = [];
const test = (name, run) => cases.push([name, run]);

for (const path of ["engine.io", "socket.io"]) {
  test(`${path}: handshake over polling`, async () => {
    const [status, text] = await http(path, "EIO=4&transport=polling");
    assert.equal(status, 200);
    const { sid, ...rest } = JSON.parse(text.slice(1));
    assert.equal(typeof sid, "string");
    assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  });
  test(`${path}: handshake over a WebSocket`, async () => {
    const { sid, ...rest } = JSON.parse((await open(path).receive()).slice(1));
    assert.deepEqual(rest, { upgrades: [], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  });
  for (const query of ["transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"]) {
    test(`${path}: ${query} is refused`, async () => assert.equal((await http(path, query))[0], 400));
    test(`${path}: ${query} is refused as a WebSocket`, () => open(path, query.replace("polling", "websocket")).closed());
  }
  for (const method of ["POST", "PUT"]) {
    test(`${path}: ${method} without a session`, async () =>
      assert.equal((await http(path, "EIO=4&transport=polling", method))[0], 400));
  }
  test(`${path}: heartbeat over polling`, async () => {
    const query = `EIO=4&transport=polling&sid=${await openSession(path)}`;
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await http(path, query), [200, "2"]);
      assert.deepEqual(await http(path, query, "POST", "3"), [200, "ok"]);
    }
  });
  test(`${path}: no heartbeat over polling`, async () => {
    const sid = await openSession(path);
    await sleep(500);
    assert.equal((await http(path, `EIO=4&transport=polling&sid=${sid}`))[0], 400);
  });
  test(`${path}: heartbeat over a WebSocket, until the client stops`, async () => {
    const socket = open(path, undefined, { pings: true });
    await socket.receive();
    if (path === "socket.io") { socket.send("40"); await socket.receive(); await socket.receive(); }
    for (let i = 0; i < 3; i++) { assert.equal(await socket.receive(), "2"); socket.send("3"); }
    assert.equal(await socket.receive(), "2");
    assert.equal(await socket.receive(), null);
  });
  test(`${path}: close over polling`, async () => {
    const query = `EIO=4&transport=polling&sid=${await openSession(path)}`;
    const [poll] = await Promise.all([http(path, query), sleep(100).then(() => http(path, query, "POST", "1"))]);
    assert.deepEqual(poll, [200, "6"]);
    assert.equal((await http(path, query))[0], 400);
  });
  test(`${path}: close over polling, before the poll comes`, async () => {
    const query = `EIO=4&transport=polling&sid=${await openSession(path)}`;
    assert.deepEqual(await http(path, query, "POST", "1"), [200, "ok"]);
    assert.deepEqual(await http(path, query), [200, "6"]);
    assert.equal((await http(path, query))[0], 400);
  });
  test(`${path}: close over a WebSocket`, async () => {
    const socket = open(path);
    await socket.receive();
    socket.send("1");
    await socket.closed();
  });
  test(`${path}: a session upgrades once`, async () => {
    const sid = await openSession(path);
    const socket = open(path, `EIO=4&transport=websocket&sid=${sid}`);
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.receive(), "3probe");
    socket.send("5");
    assert.equal((await http(path, `EIO=4&transport=polling&sid=${sid}`))[0], 400);
    // A second WebSocket is accepted and closed, whatever it sends. The first stays open.
    for (const sent of [null, "2probe", "5", "4hello"]) {
      const second = open(path, `EIO=4&transport=websocket&sid=${sid}`);
      await second.opened;
      if (sent) second.send(sent);
      assert.equal(await second.receive(), null);
    }
    if (path === "engine.io") { socket.send("4hello"); assert.equal(await socket.receive(), "4hello"); }
  });
}
test("engine.io: a second WebSocket during an upgrade, and for a session that began as a WebSocket", async () => {
  const sid = await openSession("engine.io");
  const first = open("engine.io", `EIO=4&transport=websocket&sid=${sid}`);
  await first.opened;
  const started = open("engine.io");
  const { sid: websocketSid } = JSON.parse((await started.receive()).slice(1));
  for (const taken of [sid, websocketSid]) {
    const second = open("engine.io", `EIO=4&transport=websocket&sid=${taken}`);
    await second.opened;
    assert.equal(await second.receive(), null);
  }
  first.send("2probe");
  assert.equal(await first.receive(), "3probe");
  first.send("5");
  for (const socket of [first, started]) { socket.send("4hello"); assert.equal(await socket.receive(), "4hello"); }
});
test("engine.io: a WebSocket for an unknown session", () => assert.rejects(
  open("engine.io", "EIO=4&transport=websocket&sid=x").opened));
for (const body of ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="]) {
  test(`engine.io: ${JSON.stringify(body)} over polling`, async () => {
    const query = `EIO=4&transport=polling&sid=${await openSession("engine.io")}`;
    assert.deepEqual(await http("engine.io", query, "POST", body), [200, "ok"]);
    const received = [];
    while (received.length < body.split("\x1e").length) received.push(...(await http("engine.io", query))[1].split("\x1e"));
    assert.equal(received.join("\x1e"), body);
  });
}
test("engine.io: nonsense over polling", async () => {
  const query = `EIO=4&transport=polling&sid=${await openSession("engine.io")}`;
  assert.equal((await http("engine.io", query, "POST", "abc"))[0], 400);
  assert.equal((await http("engine.io", query))[0], 400);
});
test("engine.io: two polls at once", async () => {
  const query = `EIO=4&transport=polling&sid=${await openSession("engine.io")}`;
  const [one, two] = await Promise.all([http("engine.io", query), sleep(100).then(() => http("engine.io", query))]);
  assert.deepEqual([one, two[0]], [[200, "1"], 400]);
});
test("engine.io: text, bytes and nonsense over a WebSocket", async () => {
  const socket = open("engine.io");
  await socket.receive();
  socket.send("4hello");
  assert.equal(await socket.receive(), "4hello");
  socket.send(Uint8Array.from([1, 2, 3, 4]));
  assert.deepEqual(await socket.receive(), Uint8Array.from([1, 2, 3, 4]));
  socket.send("abc");
  await socket.closed();
});
for (const [namespace, auth] of [["", ""], ["", '{"token":"123"}'], ["/custom,", ""], ["/custom,", '{"token":"abc"}']]) {
  test(`socket.io: connect to "${namespace}" with "${auth}"`, async () => {
    const socket = open("socket.io");
    await socket.receive();
    socket.send(`40${namespace}${auth}`);
    const answer = await socket.receive();
    assert.ok(answer.startsWith(`40${namespace}{"sid"`), answer);
    assert.equal(await socket.receive(), `42${namespace}["auth",${auth || "{}"}]`);
  });
}
test("socket.io: an unknown namespace", async () => {
  const socket = open("socket.io");
  await socket.receive();
  socket.send("40/random");
  assert.equal(await socket.receive(), '44/random,{"message":"Invalid namespace"}');
});
for (const first of ["4abc", '42["message","before connect"]', "nothing in time"]) {
  test(`socket.io: ${first} instead of a connect`, async () => {
    const socket = open("socket.io");
    await socket.receive();
    if (first.startsWith("4")) socket.send(first);
    await socket.closed();
  });
}
test("socket.io: leave one namespace, stay in another", async () => {
  const socket = await connect();
  socket.send("40/custom");
  await socket.receive();
  await socket.receive();
  socket.send("41/custom");
  socket.send('42["message","to main"]');
  assert.equal(await socket.receive(), '42["message-back","to main"]');
});
test("socket.io: leave the main namespace; heartbeats continue", async () => {
  const socket = open("socket.io", undefined, { pings: true });
  await socket.receive();
  socket.send("40");
  await socket.receive();
  await socket.receive();
  socket.send("41");
  assert.equal(await socket.receive(), "2");
});
const bytes = [Uint8Array.from([1, 2, 3]), Uint8Array.from([4, 5, 6])];
const placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
for (const [sent, received, attachments] of [
  ['42["message",1,"2",{"3":[true]}]', '42["message-back",1,"2",{"3":[true]}]', []],
  [`452-["message",${placeholders}]`, `452-["message-back",${placeholders}]`, bytes],
  ['42456["message-with-ack",1,"2",{"3":[false]}]', '43456[1,"2",{"3":[false]}]', []],
  [`452-789["message-with-ack",${placeholders}]`, `462-789[${placeholders}]`, bytes],
]) {
  test(`socket.io: ${sent}`, async () => {
    const socket = await connect();
    socket.send(sent);
    attachments.forEach((attachment) => socket.send(attachment));
    assert.equal(await socket.receive(), received);
    for (const attachment of attachments) assert.deepEqual(await socket.receive(), attachment);
  });
}
for (const bad of ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]']) {
  test(`socket.io: ${bad} closes`, async () => {
    const socket = await connect();
    socket.send(bad);
    await socket.closed();
  });
}

for (const [name, run] of cases) {
  // One retry, because a busy machine can pause for longer than the suites' time-outs of 200 ms.
  await run().catch(run).catch((error) => {
    console.error(`FAILED ${name}`);
    throw error;
  });
}
console.log(`${cases.length} cases passed`);
process.exit(0);
