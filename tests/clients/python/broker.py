"""Starts the broker's binary for a test and publishes to it beside the client that is tested."""

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

DEFAULT_BINARY = Path(__file__).resolve().parents[3] / "target/debug/tidings"
STOPPED_WITHIN_SECONDS = 15

PUBLISH = """mutation ($topic: String!, $payload: JSON!) {
  publish(topic: $topic, payload: $payload) { topic cursor duplicate }
}"""

FOLLOW = """subscription ($topics: [String!]!) {
  messages(topics: $topics, last: 1) { topic cursor payload }
}"""

FOLLOW_AFTER = """subscription ($topics: [String!]!, $after: Cursor) {
  messages(topics: $topics, after: $after) { topic cursor payload }
}"""


class Broker:
    """A running broker on ports of its own; `listen` repeats the address of an earlier one."""

    def __init__(self, listen="127.0.0.1:0", flags=()):
        env = dict(os.environ)
        binary = env.pop("TIDINGS_BIN", str(DEFAULT_BINARY))
        command = [binary, "serve", "--listen", listen, "--admin-listen", "127.0.0.1:0", *flags]
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        ready = self.process.stdout.readline()
        addresses = re.findall(r"127\.0\.0\.1:\d+", ready)
        assert len(addresses) >= 2, f"the ready line names two addresses: {ready!r}"
        self.address = addresses[0]
        self.http = f"http://{self.address}/graphql"
        self.ws = f"ws://{self.address}/graphql"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOPPED_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def ask(self, query, **variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"content-type": "application/json", "accept": "application/json"}
        request = urllib.request.Request(self.http, body, headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def publish(self, topic, payload):
        return self.ask(PUBLISH, topic=topic, payload=payload)["publish"]
