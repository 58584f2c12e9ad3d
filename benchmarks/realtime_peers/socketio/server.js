"use strict";
// The same two events in Socket.IO. Sockets join the room when they ask to, as in CastComm.

const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

function redisClient() {
  const url = process.env.REDIS_URL;
  return url.startsWith("unix://")
    ? createClient({ socket: { path: url.slice("unix://".length) } })
    : createClient({ url });
}

async function main() {
  const publisher = redisClient();
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = createServer();
  const io = new Server(http, { transports: ["websocket"], adapter: createAdapter(publisher, subscriber) });
  io.on("connection", (socket) => {
    socket.on("join", async (answer) => {
      await socket.join("room");
      answer({ ok: true });
    });
    socket.on("ack", (data, answer) => answer({ ok: true }));
    socket.on("broadcast", (data) => io.to("room").emit("message", data));
  });
  http.listen(Number(process.env.PORT), "127.0.0.1");
}

main();
