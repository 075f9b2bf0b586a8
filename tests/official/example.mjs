// A player's session over the game API, with the official Socket.IO client and fetch, through a load balancer over two nodes.
// Arguments: the load balancer's address, and the process id of the node to stop at the end.
import assert from "node:assert/strict";
import { io } from "socket.io-client";

const [base, processId] = process.argv.slice(2);
setTimeout(() => assert.fail("took too long"), 300_000).unref();

async function request(method, path, token, body) {
  const headers = { "content-type": "application/json" };
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(answer.statusCode, response.status);
  return answer;
}

// A client that records its events in order, and checks that no older board follows a newer one.
function connect(token, options) {
  const socket = io(base, { auth: { token: `Bearer ${token}` }, forceNew: true, ...options });
  const events = [];
  let version = -1;
  for (const name of ["connect_success", "scoreboard:update", "score:personal"]) {
    socket.on(name, (data) => {
      if (name === "scoreboard:update") {
        assert.ok(data.version >= version, "an older board after a newer one");
        version = data.version;
      }
      events.push([name, data]);
    });
  }
  const wait = async (event, matches) => {
    while (!events.some(([name, data]) => name === event && matches(data))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  return { socket, events, wait };
}

const credentials = { username: "john_doe", password: "SecurePass123" };
await request("POST", "/api/auth/register", null, { ...credentials, email: "john@example.com" });
const login = await request("POST", "/api/auth/login", null, credentials);
assert.equal(login.message, "Login successful");
const { token, user } = login.data;

const transports = [{}, { transports: ["websocket"] }, { transports: ["polling"] }];
const clients = [...transports, ...transports].map((options) => connect(token, options));
for (const client of clients) {
  await client.wait("scoreboard:update", (data) => data.top10.length === 0);
  assert.deepEqual(client.events[0], [
    "connect_success",
    { message: "Connected successfully", userId: user.id, username: "john_doe" },
  ]);
}

// An honest player.
const start = await request("POST", "/api/game/start", token, {});
assert.equal(start.data.sessionDuration, 1800);
const firstToken = start.data.actionToken;
assert.match(firstToken, /^act_[a-zA-Z0-9]{20}$/);
const watched = await request("POST", "/api/score/update", token, { actionToken: firstToken, actionType: "watch_ad", points: 10 });
assert.equal(watched.data.newScore, 10);
assert.equal(watched.data.expiresAt, start.data.expiresAt);
const secondToken = watched.data.newActionToken;
const solved = await request("POST", "/api/score/update", token, { actionToken: secondToken, actionType: "solve_puzzle", points: 15 });
assert.equal(solved.data.newScore, 25);
for (const client of clients) {
  await client.wait("scoreboard:update", (data) => data.top10[0]?.score === 25);
  await client.wait("score:personal", (data) => data.score === 25 && data.rank === 1 && data.pointsEarned === 15);
}

// A cheating player.
const update = async (body) => {
  const answer = await request("POST", "/api/score/update", token, { actionType: "watch_ad", points: 10, ...body });
  return answer.message;
};
assert.equal(await update({}), "No action token provided");
assert.equal(await update({ actionToken: "act_hacker123" }), "Invalid token");
assert.equal(await update({ actionToken: firstToken }), "Token has been used, use latest token");
assert.equal(await update({ actionToken: solved.data.newActionToken, points: 999 }), "Invalid points value");

const rejected = io(base, { auth: { token: "Bearer nonsense" }, forceNew: true });
const error = await new Promise((resolve) => rejected.on("connect_error", resolve));
assert.equal(error.message, "Authentication failed");
assert.deepEqual(error.data, { code: "INVALID_TOKEN" });
rejected.disconnect();

// One node stops. Its clients reconnect by themselves, and get the newest board after the greeting.
const reasons = [];
for (const { socket } of clients) socket.on("disconnect", (reason) => reasons.push(reason));
const before = clients.map(({ events }) => events.length);
process.kill(Number(processId), "SIGTERM");
while (reasons.length === 0 || !clients.every(({ socket, events }, i) => socket.connected && (events.length === before[i] || events.length >= before[i] + 2))) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
assert.ok(reasons.every((reason) => reason === "transport close" || reason === "transport error"), reasons.join());
for (const [i, { events }] of clients.entries()) {
  if (events.length === before[i]) continue;
  assert.equal(events[before[i]][0], "connect_success");
  assert.equal(events[before[i] + 1][0], "scoreboard:update");
  assert.equal(events[before[i] + 1][1].top10[0].score, 25);
}
const end = await request("POST", "/api/game/end", token, {});
assert.equal(end.data.finalScore, 25);
assert.equal(end.data.actionsCompleted, 2);
console.log(`as documented; ${reasons.length} of ${clients.length} clients moved to the other node`);
process.exit(0);
