"""permessage-deflate with `websockets`: windows, with and without context takeover."""

import asyncio
import hashlib
import json
import unittest

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from broker import Broker

MESSAGES = 2000
OFFERS = [
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    *({"server_max_window_bits": bits} for bits in range(9, 16)),
    {"client_max_window_bits": 9},
]
MANY = "mutation ($m: [PublishInput!]!) { publishMany(messages: $m) { cursor } }"
FOLLOW = 'subscription { messages(topics: "corpus", after: "earliest") { payload } }'


def payload(number):
    """Sizes from nothing to 12 KB; words, digits that do not compress, and other scripts."""
    digits = hashlib.sha512(str(number).encode()).hexdigest()
    kind = ["tick ", digits, "気温は二十度です。😀 ", f"bid {number} "][number % 4]
    text = kind * (number * number % 97)
    return {"number": number, "text": text, "sum": hashlib.sha256(text.encode()).hexdigest()}


class Deflate(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(flags=["--set", "keep.last=100000", "--set", "keep.bytes=64MiB"])
        cls.addClassCleanup(cls.broker.stop)
        for first in range(0, MESSAGES, 50):
            batch = [{"topic": "corpus", "payload": payload(n)} for n in range(first, first + 50)]
            cls.broker.ask(MANY, m=batch)

    async def test_every_offer(self):
        for offer in OFFERS:
            with self.subTest(offer):
                factory = ClientPerMessageDeflateFactory(**offer)
                await asyncio.wait_for(self.read(factory), timeout=60)

    async def read(self, factory):
        protocols = ["graphql-transport-ws"]
        async with connect(
            self.broker.ws, subprotocols=protocols, extensions=[factory], compression=None
        ) as socket:
            agreed = [extension.name for extension in socket.protocol.extensions]
            self.assertEqual(agreed, ["permessage-deflate"])
            await socket.send('{"type":"connection_init"}')
            self.assertEqual(json.loads(await socket.recv())["type"], "connection_ack")
            echo = {"type": "ping", "payload": {"echo": "what the client compresses " * 500}}
            await socket.send(json.dumps(echo))
            self.assertEqual(json.loads(await socket.recv())["payload"], echo["payload"])
            start = {"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}}
            await socket.send(json.dumps(start))
            for number in range(MESSAGES):
                message = json.loads(await socket.recv())["payload"]["data"]["messages"]["payload"]
                self.assertEqual(message["number"], number)
                found = hashlib.sha256(message["text"].encode()).hexdigest()
                self.assertEqual(found, message["sum"])


if __name__ == "__main__":
    unittest.main()
