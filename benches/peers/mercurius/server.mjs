// A stock server of mercurius with its own in-process emitter.
import { readFileSync } from 'node:fs';
import Fastify from 'fastify';
import mercurius from 'mercurius';

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
  path: '/graphql',
  // Mutations may come over the WebSocket as well.
  subscription: { fullWsTransport: true },
  resolvers: {
    Query: { ping: () => true },
    Mutation: {
      publish: async (_root, { topic, payload }, { pubsub }) => {
        await pubsub.publish({ topic, payload: { message: { topic, payload } } });
        return true;
      },
    },
    Subscription: {
      message: { subscribe: (_root, { topic }, { pubsub }) => pubsub.subscribe(topic) },
    },
  },
});
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
