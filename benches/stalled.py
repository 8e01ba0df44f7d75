#!/usr/bin/env python3
"""Do clients that stop reading move the p99 of the others? Prints every round, then the medians.

    cargo build --release
    python3 benches/stalled.py target/release/tidings [ROUNDS]

The server has one core and the load the other. In each round `tidings bench` measures 200
subscribers alone, and then beside 10 sockets that subscribe to everything and never read.
"""

import base64
import json
import os
import re
import socket
import statistics
import struct
import subprocess
import sys

STALLED = 10
# Bytes of a payload, messages a second.
LOADS = [(1024, 200), (8192, 100)]
HEAD = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def frame(text):
    """A masked text frame (RFC 6455, section 5.2) of at most 65,535 bytes."""
    payload, mask = text.encode(), os.urandom(4)
    length = len(payload)
    short = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
    return b"\x81" + short + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def stalled(port):
    """A client that subscribes, reads the acknowledgement, and then nothing more."""
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
            sys.exit("the server closed a connection that was to stall")
        seen += part
    query = {"query": 'subscription { messages(topics: ">") { payload } }'}
    peer.sendall(frame(json.dumps({"id": "1", "type": "subscribe", "payload": query})))
    return peer


def p99(program, port, size, rate):
    """What the bench measures, in milliseconds; it fails if a message is lost or doubled."""
    url = f"http://127.0.0.1:{port}"
    command = [program, "bench", "--json", "--url", url, "--subscribers", "200",
               "--rate", str(rate), "--size", str(size), "--duration", "8s"]
    done = subprocess.run(command, capture_output=True, check=True, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, {1}))
    return json.loads(done.stdout)["latency"]["p99_millis"]


def main():
    program, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    server = subprocess.Popen(
        [program, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {0}))
    try:
        port = int(re.search(r":(\d+)", server.stdout.readline()).group(1))
        for size, rate in LOADS:
            alone, beside = [], []
            for _ in range(rounds):
                alone.append(p99(program, port, size, rate))
                peers = [stalled(port) for _ in range(STALLED)]
                beside.append(p99(program, port, size, rate))
                for peer in peers:
                    peer.close()
                print(f"{size} B, {rate}/s: p99 alone {alone[-1]:.2f} ms, "
                      f"beside {STALLED} that do not read {beside[-1]:.2f} ms", flush=True)
            ratio = statistics.median(beside) / statistics.median(alone)
            print(f"{size} B, {rate}/s: median {statistics.median(alone):.2f} ms, "
                  f"{statistics.median(beside):.2f} ms: {ratio:.2f} times as long")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
