"""gql, the Python client: its two WebSocket transports, both subprotocols, and HTTP."""

import asyncio
import unittest

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from broker import FOLLOW, FOLLOW_AFTER, PUBLISH, Broker

SECONDS = 30
ENGINE = "query Engine { broker { engine } }"
PROTOCOLS = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL, WebsocketsTransport.APOLLO_SUBPROTOCOL]


def request(query, **variables):
    return GraphQLRequest(query, variable_values=variables)


async def refusal(answer):
    """The first error of an answer. Not assertRaises: it clears the frames of the traceback, and
    with them gql's task that receives."""
    try:
        await answer
    except TransportQueryError as refused:
        return refused.errors[0]
    raise AssertionError("it was not refused")


def transports(broker):
    """Every way in which gql opens a socket, each with a name that can be a topic."""
    for transport in (WebsocketsTransport, AIOHTTPWebsocketsTransport):
        yield transport.__name__, transport(url=broker.ws)
        for protocol in PROTOCOLS:
            name = f"{transport.__name__}.{protocol}"
            yield name, transport(url=broker.ws, subprotocols=[protocol])


class Sockets(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(lambda: self.broker.stop())

    async def each(self, dialogue):
        for name, transport in transports(self.broker):
            with self.subTest(name):
                async with asyncio.timeout(SECONDS), Client(transport=transport) as session:
                    await dialogue(session, name)

    async def test_query_mutation_and_subscription_share_a_socket(self):
        async def dialogue(session, topic):
            published = await session.execute(request(PUBLISH, topic=topic, payload={"n": 1}))
            messages = session.subscribe(request(FOLLOW, topics=[topic]))
            first = (await anext(messages))["messages"]
            self.assertEqual(first["cursor"], published["publish"]["cursor"])
            self.broker.publish(topic, {"n": 2})
            self.assertEqual((await anext(messages))["messages"]["payload"], {"n": 2})
            await messages.aclose()
            answer = await session.execute(request(ENGINE))
            self.assertEqual(answer["broker"]["engine"], "memory")

        await self.each(dialogue)

    async def test_several_subscriptions_are_told_apart(self):
        async def dialogue(session, topic):
            names = [f"{topic}.{index}" for index in range(5)]
            for name in names:
                self.broker.publish(name, name)
            streams = [session.subscribe(request(FOLLOW, topics=[name])) for name in names]
            for name, stream in zip(names, streams, strict=True):
                self.assertEqual((await anext(stream))["messages"]["payload"], name)
            for stream in streams:
                await stream.aclose()

        await self.each(dialogue)

    async def test_a_subscription_resumes_after_a_cursor(self):
        async def dialogue(session, topic):
            receipts = [self.broker.publish(topic, number) for number in range(3)]
            follow = request(FOLLOW_AFTER, topics=[topic], after=receipts[0]["cursor"])
            messages = session.subscribe(follow)
            payloads = [(await anext(messages))["messages"]["payload"] for _ in range(2)]
            self.assertEqual(payloads, [1, 2])
            await messages.aclose()

        await self.each(dialogue)

    async def test_errors_reach_the_caller(self):
        async def dialogue(session, _topic):
            self.assertTrue(await refusal(session.execute(request("{ nothing }"))))
            publish = session.execute(request(PUBLISH, topic="a..b", payload=1))
            self.assertEqual((await refusal(publish))["extensions"]["code"], "BAD_TOPIC")
            messages = session.subscribe(request(FOLLOW, topics=["a.>.b"]))
            self.assertEqual((await refusal(anext(messages)))["extensions"]["code"], "BAD_FILTER")
            self.assertEqual((await session.execute(request(ENGINE)))["broker"]["engine"], "memory")

        await self.each(dialogue)

    async def test_a_client_comes_back_after_the_broker_restarts(self):
        client = Client(transport=WebsocketsTransport(url=self.broker.ws))
        async with asyncio.timeout(SECONDS):
            session = await client.connect_async(reconnecting=True)
            self.assertEqual((await session.execute(request(ENGINE)))["broker"]["engine"], "memory")
            await asyncio.to_thread(self.broker.stop)
            self.broker = await asyncio.to_thread(Broker, self.broker.address)
            answer = None
            while answer is None:
                try:
                    answer = await session.execute(request(ENGINE))
                except Exception:  # gql's errors while it is away have no common class
                    await asyncio.sleep(0.05)
            self.assertEqual(answer["broker"]["engine"], "memory")
            await client.close_async()


class Http(unittest.IsolatedAsyncioTestCase):
    async def test_queries_and_mutations(self):
        broker = Broker()
        self.addCleanup(broker.stop)
        async with Client(transport=AIOHTTPTransport(url=broker.http)) as session:
            published = await session.execute(request(PUBLISH, topic="http", payload=[1, None]))
            self.assertFalse(published["publish"]["duplicate"])
            answer = await session.execute(request('{ last(topics: ["http"]) { payload } }'))
            self.assertEqual(answer["last"], [{"payload": [1, None]}])
            self.assertTrue(await refusal(session.execute(request("{ nothing }"))))


if __name__ == "__main__":
    unittest.main()
