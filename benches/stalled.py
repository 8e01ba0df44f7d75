#!/usr/bin/env python3
"""Do clients that stop reading move the p99 of the others? Prints every round, then the medians.

    cargo build --release
    python3 benches/stalled.py target/release/tidings [ROUNDS [FLAGS OF SERVE ...]]

The server has one core and the load the other. A round measures 200 subscribers by `tidings bench`
three times, in random order: alone, beside 10 more that read, and beside 10 that never read.
"""

import base64
import json
import os
import random
import re
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys

MORE = 10
SITUATIONS = ["alone", "readers", "stalled"]
# Bytes of a payload, messages a second.
LOADS = [(1024, 200), (8192, 100)]
HEAD = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def frame(text):
    """A masked text frame (RFC 6455, section 5.2) of at most 65,535 bytes."""
    payload, mask = text.encode(), os.urandom(4)
    length = len(payload)
    short = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
    return b"\x81" + short + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def subscriber(port):
    """A client that subscribes, reads the acknowledgement, and nothing more by itself."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    peer.sendall(f"{HEAD}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                 "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode())
    peer.sendall(frame('{"type":"connection_init"}'))
    seen = b""
    while b"connection_ack" not in seen:
        part = peer.recv(4096)
        if not part:
            sys.exit("the server closed the connection of a new client")
        seen += part
    query = {"query": 'subscription { messages(topics: ">") { payload } }'}
    peer.sendall(frame(json.dumps({"id": "1", "type": "subscribe", "payload": query})))
    return peer


def read_all(peers):
    """Starts a process that reads whatever comes to these clients."""
    pid = os.fork()
    if pid:
        return pid
    os.sched_setaffinity(0, {1})
    ready = selectors.DefaultSelector()
    for peer in peers:
        ready.register(peer, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if not key.fileobj.recv(1 << 16):
                os._exit(0)


def p99(program, port, size, rate):
    """What the bench measures, in milliseconds; it fails if a message is lost or doubled."""
    url = f"http://127.0.0.1:{port}"
    command = [program, "bench", "--json", "--url", url, "--subscribers", "200",
               "--rate", str(rate), "--size", str(size), "--duration", "4s"]
    done = subprocess.run(command, capture_output=True, check=True, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, {1}))
    return json.loads(done.stdout)["latency"]["p99_millis"]


def measure(program, port, load, situation):
    """The p99 in a situation."""
    peers = [] if situation == "alone" else [subscriber(port) for _ in range(MORE)]
    reader = read_all(peers) if situation == "readers" else None
    try:
        return p99(program, port, *load)
    finally:
        if reader:
            os.kill(reader, signal.SIGKILL)
            os.waitpid(reader, 0)
        for peer in peers:
            peer.close()


def report(load, found):
    """Medians and quartiles, and how often a situation was worse than alone in the same round."""
    for situation in SITUATIONS:
        low, middle, high = statistics.quantiles(found[situation], n=4)
        worse = sum(a < b for a, b in zip(found["alone"], found[situation]))
        ratio = middle / statistics.median(found["alone"])
        print(f"{load[0]} B, {load[1]}/s, {situation:8}: p99 {middle:.2f} ms, quartiles {low:.2f} "
              f"and {high:.2f}; {ratio:.2f} of alone, longer in {worse} of {len(found['alone'])}")


def main():
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    server = subprocess.Popen(
        [program, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
         *sys.argv[3:]],
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    try:
        port = int(re.search(r":(\d+)", server.stdout.readline()).group(1))
        for load in LOADS:
            p99(program, port, *load)
            found = {situation: [] for situation in SITUATIONS}
            for _ in range(rounds):
                for situation in random.sample(SITUATIONS, len(SITUATIONS)):
                    found[situation].append(measure(program, port, load, situation))
                latest = (f"{name} {times[-1]:.2f}" for name, times in found.items())
                print(f"{load[0]} B, {load[1]}/s: {', '.join(latest)} ms", flush=True)
            report(load, found)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
