// Official clients decompress boards: `ws` and the Socket.IO client with permessage-deflate, fetch with gzip.
// Argument: the node's address.
import assert from "node:assert/strict";
import { io } from "socket.io-client";
import WebSocket from "ws";

const [base] = process.argv.slice(2);
setTimeout(() => assert.fail("took too long"), 300_000).unref();

async function post(path, token, body) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const response = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

const names = Array.from({ length: 10 }, (_, index) => `player_with_a_name_${index}`);
const logins = await Promise.all(names.map(async (username) => {
  const credentials = { username, password: "SecurePass123", email: `${username}@example.com` };
  return (await post("/api/auth/register", "", credentials)).data.token;
}));
const award = async (token) => {
  const { antiSpamToken } = await post("/api/v1/actions/init", token, { actionType: "watch_ad" });
  assert.ok((await post("/api/v1/actions/finalize", token, { antiSpamToken })).success);
};

const scores = { websocket: 0, socketio: 0, events: 0 };
const sum = (rows) => rows.reduce((total, row) => total + row.score, 0);

// This client compresses its own messages too.
const headers = { authorization: `Bearer ${logins[0]}` };
const socket = new WebSocket(`${base.replace("http", "ws")}/api/v1/ws`, { headers, perMessageDeflate: { threshold: 0 } });
let textLength = 0;
socket.on("message", (data) => {
  textLength += data.length;
  const event = JSON.parse(data);
  if (event.event === "leaderboard_updated") scores.websocket = sum(event.data);
});
await new Promise((open) => socket.once("open", open));
assert.match(socket.extensions, /permessage-deflate/);
socket.send("a compressed message ".repeat(100));

const client = io(base, { transports: ["websocket"], auth: { token: logins[1] }, perMessageDeflate: { threshold: 0 } });
client.on("scoreboard:update", ({ top10 }) => (scores.socketio = sum(top10)));

const stream = await fetch(`${base}/api/v1/leaderboard/stream`, { headers: { "accept-encoding": "gzip" } });
assert.equal(stream.headers.get("content-encoding"), "gzip");
let buffer = "";
(async () => {
  for await (const piece of stream.body.pipeThrough(new TextDecoderStream())) {
    buffer += piece;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events.filter((text) => text.startsWith("event: leaderboard_updated\n"))) {
      scores.events = sum(JSON.parse(event.split("\ndata: ")[1]).data);
    }
  }
})();

for (let round = 1; round <= 3; round++) {
  for (const login of logins) await award(login);
  while (Object.values(scores).some((score) => score !== round * 100)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
assert.ok(socket._socket.bytesRead < textLength * 0.7, `${socket._socket.bytesRead} bytes for ${textLength} of text`);

// The size limit applies to the decompressed message.
socket.send("x".repeat(100_000));
const [code] = await new Promise((closed) => socket.once("close", (...frame) => closed(frame)));
assert.equal(code, 1009);
client.disconnect();
console.log("compressed and decompressed");
process.exit(0);
