#!/usr/bin/env python3
"""Writes the seeds of fuzz/corpus: each target's inputs, one file for each thing worth trying.

Run it from anywhere after a change. The seeds of config, graphql and sdl, and those that were
found and kept, are written by hand: it leaves them as they are.
"""

import pathlib
import re
import zlib

FUZZ = pathlib.Path(__file__).resolve().parent
KEY = b"\x37\xfa\x21\x3d"
CUTS = bytes([1, 2, 7])


def frame(first, payload, key=KEY, length=None):
    """A frame whose first byte is given; masked unless there is no key."""
    length = len(payload) if length is None else length
    mask = 0x80 if key else 0
    if length < 126:
        head = bytes([first, mask | length])
    elif length < 1 << 16:
        head = bytes([first, mask | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, mask | 127]) + length.to_bytes(8, "big")
    if not key:
        return head + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


# The first byte: 1 client, 2 deflate, then which longest message: 0 is 4, 4 is 125, 8 is 1000.
SERVER, CLIENT, DEFLATE, ANY = 8, 9, 10, 12

FRAMES = {
    "text": (SERVER, frame(0x81, b"Hello")),
    "text-empty": (SERVER, frame(0x81, b"")),
    "text-of-a-server": (CLIENT, frame(0x81, b"Hello", None)),
    "text-not-masked": (SERVER, frame(0x81, b"Hello", None)),
    "text-masked-by-a-server": (CLIENT, frame(0x81, b"Hello")),
    "text-16-bit-length": (SERVER, frame(0x81, b"{}" * 100)),
    "text-64-bit-length": (ANY, frame(0x81, b"x" * 3000, length=70_000)),
    "text-two-byte-characters": (SERVER, frame(0x81, "käse ünï".encode())),
    "text-four-byte-characters": (SERVER, frame(0x81, "😀 日本".encode())),
    "text-not-utf8": (SERVER, frame(0x81, b"ab\xff\xfec")),
    "text-surrogate": (SERVER, frame(0x81, b"\xed\xa0\x80")),
    "text-character-cut-off": (SERVER, frame(0x81, b"ab\xe6\x97")),
    "text-too-long": (0, frame(0x81, b"Hello")),
    "text-exactly-as-long": (0, frame(0x81, b"Hell")),
    "text-in-fragments": (SERVER, frame(0x01, b"He") + frame(0x00, b"l") + frame(0x80, b"lo")),
    "text-cut-inside-a-character": (SERVER, frame(0x01, b"\xe6\x97") + frame(0x80, b"\xa5")),
    "text-fragment-not-utf8": (SERVER, frame(0x01, b"a\xff") + frame(0x80, b"b")),
    "fragments-too-long": (0, frame(0x01, b"He") + frame(0x80, b"llo")),
    "fragments-empty": (SERVER, frame(0x01, b"") + frame(0x00, b"") + frame(0x80, b"")),
    "fragments-around-a-ping": (SERVER, frame(0x01, b"He") + frame(0x89, b"p") + frame(0x80, b"y")),
    "fragments-around-a-close": (SERVER, frame(0x01, b"He") + frame(0x88, b"\x03\xe8")),
    "continues-nothing": (SERVER, frame(0x80, b"x")),
    "message-in-a-message": (SERVER, frame(0x01, b"He") + frame(0x81, b"x")),
    "binary": (SERVER, frame(0x82, bytes(range(40)))),
    "binary-in-fragments": (SERVER, frame(0x02, b"\xff") + frame(0x80, b"\xfe")),
    "ping": (SERVER, frame(0x89, b"are you there")),
    "ping-empty": (SERVER, frame(0x89, b"")),
    "ping-125": (SERVER, frame(0x89, b"p" * 125)),
    "ping-too-long": (SERVER, frame(0x89, b"p" * 126)),
    "ping-in-fragments": (SERVER, frame(0x09, b"p")),
    "pong": (SERVER, frame(0x8A, b"here")),
    "close": (SERVER, frame(0x88, b"\x03\xe8bye")),
    "close-empty": (SERVER, frame(0x88, b"")),
    "close-half-a-code": (SERVER, frame(0x88, b"\x03")),
    "close-1005": (SERVER, frame(0x88, b"\x03\xed")),
    "close-4400": (SERVER, frame(0x88, (4400).to_bytes(2, "big") + "weil ü".encode())),
    "close-not-utf8": (SERVER, frame(0x88, b"\x03\xe8\xff")),
    "close-then-more": (SERVER, frame(0x88, b"\x03\xe8") + frame(0x81, b"late")),
    "rsv1-without-deflate": (SERVER, frame(0xC1, b"x")),
    "rsv2": (DEFLATE, frame(0xA1, b"x")),
    "rsv3": (DEFLATE, frame(0x91, b"x")),
    "deflated": (DEFLATE, frame(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")),
    "deflated-in-fragments": (DEFLATE, frame(0x41, b"\xf2\x48\xcd") + frame(0x80, b"\xc9\x07\x00")),
    "deflated-continuation": (DEFLATE, frame(0x01, b"a") + frame(0xC0, b"b")),
    "deflated-ping": (DEFLATE, frame(0xC9, b"p")),
    "opcode-3": (SERVER, frame(0x83, b"")),
    "opcode-11": (SERVER, frame(0x8B, b"")),
    "length-not-shortest": (SERVER, b"\x81\xfe\x00\x7d"),
    "length-64-not-shortest": (SERVER, b"\x81\xff" + (65535).to_bytes(8, "big")),
    "length-topmost-bit": (ANY, b"\x81\xff\x80"),
    "length-2-to-the-62": (ANY, frame(0x82, b"few", length=1 << 62)),
    "header-only": (SERVER, b"\x81\x85\x37\xfa"),
    "several": (SERVER, frame(0x81, b"a") + frame(0x82, b"b") + frame(0x89, b"c")),
}

# Shape: how many fragments less one, 0x40 pings between them, 0x80 deflated.
MESSAGES = {
    "text": bytes([0, 0]) + KEY + b"\x05Hello",
    "text-in-4": bytes([0, 3]) + KEY + b"\x0fwords in pieces",
    "text-in-3-with-pings": bytes([0, 0x42]) + KEY + "\x0fwörter über ä".encode(),
    "text-empty-in-4": bytes([0, 3]) + KEY + b"\x00",
    "text-126": bytes([0, 0]) + KEY + b"\xfcab",
    "text-127-in-2": bytes([0, 1]) + KEY + b"\xfdab",
    "text-65535": bytes([0, 0]) + KEY + b"\xfeab",
    "text-65536-in-4": bytes([0, 0x43]) + KEY + b"\xffab",
    "binary": bytes([1, 0]) + KEY + b"\x04\x00\xff\x80\x7f",
    "binary-in-4-with-pings": bytes([1, 0x43]) + KEY + b"\x09\x00\xff\x80\x7f\x01\x02\x03\x04\x05",
    "binary-65536": bytes([1, 2]) + KEY + b"\xff",
    "ping": bytes([2]) + KEY + b"\x03abc",
    "ping-125": bytes([2]) + KEY + b"\x7d" + b"p" * 125,
    "pong": bytes([3]) + KEY + b"\x03abc",
    "close-1000": bytes([4]) + KEY + b"\x03\xe8goodbye",
    "close-without-a-code": bytes([4]) + KEY + b"\x00\x00",
    "close-4409": bytes([4]) + KEY + (4409).to_bytes(2, "big") + "läuft ".encode() * 20,
    "close-1006": bytes([4]) + KEY + (1006).to_bytes(2, "big") + bytes([0, 0]) + KEY + b"\x01x",
    "all": bytes([0, 1]) + KEY + b"\x02hi" + bytes([2]) + KEY + b"\x01?" + bytes([1, 0]) + KEY
    + b"\x01\x00" + bytes([3]) + KEY + b"\x01!" + bytes([4]) + KEY + b"\x03\xe8",
}
MESSAGE_SETUPS = {"": SERVER, "-to-a-client": CLIENT, "-deflated": DEFLATE}

UPGRADE = """Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="""

HANDSHAKES = {
    "rfc": "GET 1.1\n" + UPGRADE + "\nSec-WebSocket-Protocol: chat, superchat",
    "both-dialects": "GET 1.1\n" + UPGRADE
    + "\nSec-WebSocket-Protocol: graphql-transport-ws, graphql-ws",
    "older-first": "GET 1.1\n" + UPGRADE
    + "\nSec-WebSocket-Protocol: graphql-ws\nSec-WebSocket-Protocol: graphql-transport-ws",
    "others": "GET 1.1\n" + UPGRADE + "\nSec-WebSocket-Protocol: mqtt, wamp.2.json, soap",
    "no-protocol": "GET 1.1\n" + UPGRADE,
    "empty-items": "GET 1.1\n" + UPGRADE + "\nSec-WebSocket-Protocol: ,, a ,,b,",
    "extensions": "GET 1.1\n" + UPGRADE
    + "\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "lists-over-lines": "GET 1.1\n" + UPGRADE.replace(
        "Connection: Upgrade", "Connection: keep-alive\nConnection: x ,upGRADE"
    ),
    "upgrade-list": "GET 1.1\n" + UPGRADE.replace("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
    "no-upgrade": "GET 1.1\n" + UPGRADE.replace("Upgrade: websocket\n", ""),
    "no-connection": "GET 1.1\n" + UPGRADE.replace("Connection: Upgrade\n", ""),
    "no-version": "GET 1.1\n" + UPGRADE.replace("Sec-WebSocket-Version: 13\n", ""),
    "version-8": "GET 1.1\n" + UPGRADE.replace("13", "8"),
    "versions": "GET 1.1\n" + UPGRADE.replace("13", "13, 8"),
    "version-twice": "GET 1.1\n" + UPGRADE + "\nSec-WebSocket-Version: 13",
    "no-key": "GET 1.1\n" + UPGRADE.rsplit("\n", 1)[0],
    "short-key": "GET 1.1\n" + UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
    "key-with-spare-bits": "GET 1.1\n" + UPGRADE.replace("ZQ==", "ZR=="),
    "two-keys": "GET 1.1\n" + UPGRADE + "\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "post": "POST 1.1\n" + UPGRADE,
    "http-1.0": "GET 1.0\n" + UPGRADE,
    "http-2": "CONNECT 2\nSec-WebSocket-Version: 13\nSec-WebSocket-Protocol: graphql-ws",
    "http-2-version-8": "CONNECT 2\nSec-WebSocket-Version: 8",
    "http-2-get": "GET 2\n" + UPGRADE,
    "not-text": "GET 1.1\n" + UPGRADE + "\nSec-WebSocket-Protocol: \xff\xfe, a",
    "nothing": "GET 1.1",
}

EXTENSIONS = {
    "plain": "permessage-deflate", "takeover": "permessage-deflate; server_no_context_takeover",
    "all": "permessage-deflate; client_no_context_takeover; server_no_context_takeover;"
    " client_max_window_bits=12; server_max_window_bits=\"10\"",
    "no-number": "permessage-deflate; client_max_window_bits", "upper-case": "PerMessage-Deflate",
    "window-8": "permessage-deflate; server_max_window_bits=8",
    "window-16": "permessage-deflate; server_max_window_bits=16, permessage-deflate",
    "window-08": "permessage-deflate; server_max_window_bits=08",
    "twice": "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
    "unknown": "permessage-deflate; what=\"is, \\\"this\", permessage-deflate; , ;",
    "others": "x-webkit-deflate-frame, permessage-bzip2; a=b,permessage-deflate ; b = c",
    "not-ended": "permessage-deflate; a=\"b",
}


def deflated(payload, flush=zlib.Z_SYNC_FLUSH, window=-15, level=9):
    compressor = zlib.compressobj(level, zlib.DEFLATED, window)
    return compressor.compress(payload) + compressor.flush(flush)


TEXT = b'{"id":"1","type":"next","payload":{"data":{"messages":{"payload":{"bid":1.1}}}}}'
# The first byte: even to inflate, with a limit of 0, 100, 10,000 or ten million; odd to deflate.
RECEIVED, RECEIVED_SHORT, RECEIVED_LONG = b"\x04", b"\x02", b"\x06"
INFLATE = {
    "rfc-hello": RECEIVED + b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    "rfc-stored": RECEIVED + b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
    "rfc-last-block": RECEIVED + b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    "rfc-two-blocks": RECEIVED + bytes.fromhex("f248050000 00ffffcac9c90700"),
    "empty": RECEIVED, "one-byte": RECEIVED + b"\x00", "block-type-3": RECEIVED + b"\x07",
    "text": RECEIVED + deflated(TEXT)[:-4], "text-with-tail": RECEIVED + deflated(TEXT),
    "dynamic": RECEIVED + deflated(bytes(range(97, 123)) * 20 + TEXT * 3)[:-4],
    "finished": RECEIVED + deflated(TEXT, zlib.Z_FINISH),
    "finished-then-more": RECEIVED + deflated(TEXT, zlib.Z_FINISH) + deflated(TEXT)[:-4],
    "finished-many-times": RECEIVED + b"\x03\x00" * 70 + b"\x00",
    "cut-off": RECEIVED + deflated(TEXT)[:-9], "too-big": RECEIVED_SHORT + deflated(TEXT * 3)[:-4],
    "bomb": RECEIVED + deflated(b"a" * 100_000)[:-4],
    "bomb-allowed": RECEIVED_LONG + deflated(b"a" * 1_000_000)[:-4],
    "too-far-back": RECEIVED + b"\x4a\x04\x52\x00\x00", "not-utf8": RECEIVED
    + deflated(b"\xff\xfe")[:-4],
    "distance-32k": RECEIVED_LONG + deflated(TEXT + bytes(32_000) + TEXT)[:-4],
    "levels": RECEIVED + deflated(TEXT * 4, level=1)[:-4],
    "uncompressed": RECEIVED + deflated(TEXT, level=0)[:-4],
    "send": b"\x1f\x20\x00" + TEXT, "send-nothing": b"\x1f\x00\x00",
    "send-prefix-only": b"\x1f\xff\x00" + TEXT, "send-long": b"\x1f\x08\x0f" + TEXT * 5,
    "send-window-9": b"\x13\x08\x0f" + TEXT + bytes(range(256)) * 2,
    "send-window-8": b"\x11\x08\x0f" + TEXT + bytes(range(256)),
    "send-window-12": b"\x19\x08\x0f" + bytes(range(255, 0, -1)) + TEXT,
    "send-random": b"\x1f\x00\x03" + zlib.compress(TEXT * 9),
}

CURSORS = {
    "first": "1-1", "zero": "0-0", "usual": "9zldr3yfvn-1k2",
    "largest": "3w5e11264sgsf-3w5e11264sgsf",
    "too-large": "3w5e11264sgsg-1", "no-epoch": "-1", "no-sequence": "1-", "only-a-dash": "-",
    "leading-zero": "a-01", "sign": "a-+1", "upper-case": "A-1", "three-parts": "a-1-1",
    "long": "zzzzzzzzzzzzzz-1", "earliest": "earliest", "empty": "", "not-ascii": "ä-1",
    "time": "2026-11-21T14:30:00Z", "time-offset": "2026-11-21T15:30:00.5+01:00",
    "time-micros": "1970-01-01T00:00:00.000001Z", "time-nanos": "2026-11-21T14:30:00.123456789Z",
    "time-last": "9999-12-30T22:00:00.999999Z", "time-before": "-009999-01-02T01:59:59Z",
    "time-without-zone": "2026-11-21T14:30:00", "time-leap": "2016-12-31T23:59:60Z",
    "time-no-such-day": "2026-02-30T00:00:00Z", "date": "2026-11-21",
    "time-zone-name": "2026-11-21T15:30:00+01:00[Europe/Berlin]",
}

JSONS = {
    "null": "null", "true": "true", "zero": "0", "negative": "-12.50e+10", "empty-object": "{}",
    "string": '"a b \\" \\\\ \\n \\u00e4 \\ud83d\\ude00"', "empty-array": "[]",
    "nested": "[[[[{}]]]]",
    "object": '{"a": 1, "b": [true, null], "a b": {"c": "d"}}\n@\n/b/0',
    "int64": "[9223372036854775807,18446744073709551615,-9223372036854775808,18446744073709551616]",
    "fraction": "[1.10, 1e2, 0.1, 5e-324, 1.7976931348623157e308]",
    "spaces": " \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "same-key": '{"a":1,"a":2}\n@\n/a',
    "depth-127": "[" * 127 + "]" * 127, "depth-128": "[" * 128 + "]" * 128,
    "brackets-in-a-string": '["' + "[{" * 80 + '"]', "escaped-quotes": '["\\\\","\\"", "\\\\\\" "]',
    "pointer-escapes": '{"a/b":{"m~n":1}}\n@\n/a~1b/m~0n', "pointer-index": "[1,2]\n@\n/1",
    "pointer-leading-zero": "[1,2]\n@\n/01", "pointer-dash": "[1,2]\n@\n/-",
    "pointer-empty-key": '{"":{"":1}}\n@\n//', "pointer-none": "{}\n@\na",
    "pointer-wrong": "{}\n@\n/~2",
    "beyond-doubles": '[1e999,-1e999,{"a":1.7976931348623158e308,"b":1e-999},1e400]',
    "half-a-surrogate": '{"a":"\\ud83d","b":["\\ud83d\\ude00\\udc00"],"\\ud800":1}',
    "leading-zero": "01", "plus": "+1", "trailing-comma": "[1,]", "single-quotes": "{'a':1}",
    "two-values": "1 2", "nan": "NaN", "byte-order-mark": "\ufeff1", "control-character": '"\x01"',
    "not-ended": '{"a":', "not-ended-string": '"abc', "short-escape": '"\\u12"', "empty": "",
}

FILTERS = {
    "exact": "quotes.AAPL\nquotes.MSFT\nquotes.AAPL",
    "star": "quotes.*\nquotes.AAPL\nquotes\nquotes.a.b",
    "tail": "quotes.>\nquotes\nquotes.a\nquotes.a.b", "everything": ">\na\na.b.c",
    "stars": "*\n*.*\n*.*.*\na\na.b\na.b.c", "star-and-tail": "*.>\na\na.b\na.*.>\na.b.c",
    "middle": "a.*.c\na.b.c\na.b.d\n*.b.*\n>", "tail-not-last": "a.>.b\n>.a",
    "mixed": "a*.b\nb>\n**\n*>\n>>", "empty": "", "empty-tokens": ".\na.\n.a\na..b",
    "reserved": "$SYS.a\n$a.>\na.$b\n$", "spaces": "a b\na.\tb\na.\u00a0\na.\u2003b\na.\x7f",
    "not-ascii": "ünï.日本\nünï.*\n😀\n*.日本", "quotes": '"q"\na%2Eb\na/b\na:b\na,b',
    "tokens-32": ".".join(["t"] * 32) + "\n" + ".".join(["*"] * 32),
    "tokens-33": ".".join(["t"] * 33) + "\nt.>", "bytes-255": "x" * 255 + "\n*",
    "bytes-256": "x" * 256 + "\n*", "prefixes": "a\na.b\na.b.c\nab\na.*\nab.*\na.>",
    "same-twice": "a.*\na.*\na.*\na.b", "literal-and-star": "a.b\na.*\n*.b\n*.*\n>",
    "feed": "a.b\na.*\n>\na.b\nc\nc.*\nx", "tail-of-stars": "*.*.>\na.b\na.b.c\na.b.c.d",
    "deep": "a.b.c.d.e.f.g.h\na.*.c.*.e.*.g.*\na.b.c.d.>\n*.b.c.d.e.f.g.h",
}


def cut_dialogues():
    """Each conversation of the tests, without what is expected of the server."""
    dialogues = {}
    for file in ("transport_ws", "legacy_ws"):
        text = (FUZZ.parent / "tests/it/dialogues" / f"{file}.txt").read_text()
        for part in re.split(r"^= ", text, flags=re.M)[1:]:
            name, *lines = part.splitlines()
            name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            prefix = "new" if file == "transport_ws" else "old"
            dialogues[f"{prefix}-{name}"] = "\n".join(l for l in lines if l[:1] in (">", "~"))
    return dialogues


def write(target, seeds):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (folder / name).write_bytes(seed)


def text(seeds, encoding="utf-8"):
    return {name: seed.encode(encoding) for name, seed in seeds.items()}


def main():
    write("frames", {name: bytes([flags]) + CUTS + wire for name, (flags, wire) in FRAMES.items()})
    write("messages", {
        name + suffix: bytes([flags]) + CUTS + (
            bytes([script[0], script[1] | 0x80]) + script[2:] if flags == DEFLATE else script
        )
        for suffix, flags in MESSAGE_SETUPS.items()
        for name, script in MESSAGES.items()
        if flags != DEFLATE or script[0] < 2
    })
    write("handshake", text(HANDSHAKES, "latin-1"))
    write("handshake", text({
        "deflate-" + name: HANDSHAKES["rfc"] + "\nSec-WebSocket-Extensions: " + offer
        for name, offer in EXTENSIONS.items()
    }))
    write("inflate", INFLATE)
    write("session", text(cut_dialogues()))
    write("cursor", text(CURSORS) | {"numbers": b"\xff" * 24})
    write("json", text(JSONS))
    write("filters", text(FILTERS))


if __name__ == "__main__":
    main()
