// A stock server of graphql-ws on ws; an in-process fan-out, as its manual suggests.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { buildSchema } from 'graphql';
import { WebSocketServer } from 'ws';
import { useServer } from 'graphql-ws/use/ws';
import { publish, subscribe } from './pubsub.mjs';

const schema = buildSchema(readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'));
schema.getQueryType().getFields().ping.resolve = () => true;
schema.getMutationType().getFields().publish.resolve = (_root, { topic, payload }) => {
  publish(topic, { topic, payload });
  return true;
};
const field = schema.getSubscriptionType().getFields().message;
field.subscribe = (_root, { topic }) => subscribe(topic);
field.resolve = (value) => value;

const server = createServer((_request, response) => response.writeHead(404).end());
const sockets = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false });
useServer({ schema }, sockets);
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
