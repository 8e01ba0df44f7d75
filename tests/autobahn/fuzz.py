"""fuzz.py URL [--quick | --short] [--cases 6.*,7.9.1] [--seconds N]: the Autobahn fuzzing client.

URL echoes every text and binary message, up to 16 MiB. --quick leaves out the limits and the
compression (groups 9, 12, 13), --short the compressed messages over 32 KiB, which take most
of the time. Exit status 0 means: every case ran and is OK or informational; of the whole suite,
514 are OK and 3 informational.
"""

import argparse
import collections
import contextlib
import json
import sys
import time

from autobahntestsuite import fuzzing
from twisted.internet import reactor
from twisted.python import log

WHOLE = {"OK": 514, "INFORMATIONAL": 3}
QUICK_LEAVES_OUT = ("9.", "12.", "13.")
SHORT_BYTES_MAX = 32 << 10
GOOD = ("OK", "INFORMATIONAL")
# The worse of the two verdicts of a case counts, of what was exchanged and of how it ended.
FROM_BAD_TO_GOOD = ("FAILED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "UNIMPLEMENTED",
                    "NON-STRICT", "INFORMATIONAL", "OK")


def octets(text):
    return text.encode("latin-1") if isinstance(text, str) else text


class Client(fuzzing.FuzzingClientProtocol):
    """One case. Its payloads are texts with a character per octet, autobahn's are bytes."""

    def received(self, payload):
        # The payloads of the compression cases come from files, and are bytes.
        return payload if is_from_file(self.runCase) else payload.decode("latin-1")

    def onConnect(self, response):
        pass

    def onMessage(self, payload, isBinary):
        self.runCase.onMessage(self.received(payload), isBinary)

    def onPong(self, payload):
        self.runCase.onPong(self.received(payload))

    def onClose(self, wasClean, code, reason):
        self.runCase.onClose(wasClean, code, reason)

    def sendFrame(self, opcode, payload=b"", fin=True, rsv=0, mask=None, payload_len=None,
                  chopsize=None, sync=False):
        payload = octets(payload)
        if payload_len is not None:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        super().sendFrame(opcode, payload, fin, rsv, mask, None, chopsize, sync)

    def sendMessage(self, payload, *args, **kwargs):
        super().sendMessage(octets(payload), *args, **kwargs)

    def sendMessageFrameData(self, payload, *args, **kwargs):
        return super().sendMessageFrameData(octets(payload), *args, **kwargs)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        super().sendCloseFrame(code, octets(reasonUtf8), isReply)

    # Of the logs, one case wants to know how many frames it sent.
    def logTxFrame(self, frameHeader, *_):
        self.txFrameStats[frameHeader.opcode] = self.txFrameStats.get(frameHeader.opcode, 0) + 1

    def logRxFrame(self, *_):
        pass

    def logRxOctets(self, *_):
        pass

    def logTxOctets(self, *_):
        pass


class Run(fuzzing.FuzzingClientFactory):
    """The cases one after the other."""

    protocol = Client

    def __init__(self, url, cases):
        self.results = {}
        self.began = time.monotonic()
        with contextlib.redirect_stdout(None):
            super().__init__({"servers": [{"agent": "tidings", "url": url}], "cases": cases})

    def logCase(self, result):
        self.results[result["id"]] = result
        now = time.monotonic()
        print(f"{result['id']:<8} {verdict(result):<15} {now - self.began:7.1f} s")
        self.began = now

    def createReports(self):
        pass


def is_from_file(case):
    return hasattr(case, "TESTDATA")


def verdict(result):
    return min(result["behavior"], result["behaviorClose"], key=FROM_BAD_TO_GOOD.index)


def selected(options):
    """The cases that a run is asked for, by id, in the suite's order."""
    by_id = {case.__name__.removeprefix("Case").replace("_", "."): case for case in fuzzing.Cases}
    if len(by_id) != sum(WHOLE.values()):
        sys.exit(f"the suite has {len(by_id)} cases, not {sum(WHOLE.values())}")

    def is_selected(name, case):
        patterns = options.cases.split(",")
        if not any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns):
            return False
        if options.quick and name.startswith(QUICK_LEAVES_OUT):
            return False
        return not (options.short and is_from_file(case) and case.LEN > SHORT_BYTES_MAX)

    return [name for name, case in by_id.items() if is_selected(name, case)]


def summary(planned, results, seconds):
    """Prints what came out; whether it is good enough."""
    groups = collections.defaultdict(collections.Counter)
    for name in planned:
        found = verdict(results[name]) if name in results else "DID NOT RUN"
        groups[int(name.split(".")[0])][found] += 1
    total = sum(groups.values(), collections.Counter())
    print()
    for group, counts in groups.items():
        words = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(f"group {group:<3} {fuzzing.CaseCategories[str(group)]:<44} {words}")
    for name in planned:
        result = results.get(name)
        if result and verdict(result) not in GOOD:
            print(f"\n{name}: {result['behavior']}, {result['behaviorClose']} at the close "
                  f"(code {result['remoteCloseCode']})")
            print(f"  {result['result']}\n  {result['resultClose']}")
            print(f"  expected {json.dumps(result['expected'])[:500]}")
            print(f"  received {json.dumps(result['received'])[:500]}")
    passed = sum(total[name] for name in GOOD)
    words = ", ".join(f"{total[name]} {name}" for name in GOOD)
    failed = len(planned) - passed
    print(f"\n# Autobahn in {seconds:.0f} s: {passed} passed, {failed} failed ({words})")
    is_whole = len(planned) == sum(WHOLE.values())
    return total == WHOLE if is_whole else passed == len(planned)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true")
    size.add_argument("--short", action="store_true")
    parser.add_argument("--cases", default="*")
    parser.add_argument("--seconds", type=int, default=3600, help="for the whole run")
    options = parser.parse_args()
    planned = selected(options)
    if not planned:
        parser.error(f"no case matches {options.cases}")
    fuzzing.FuzzingClientProtocol = Client
    # Payloads are texts already.
    fuzzing.asciiLogData = lambda text, *_: text
    # A case that raises has no successor.
    log.addObserver(lambda event: event["isError"] and reactor.running and reactor.stop())
    started = time.monotonic()
    run = Run(options.url, planned)
    reactor.callLater(options.seconds, reactor.stop)
    reactor.run()
    sys.exit(0 if summary(planned, run.results, time.monotonic() - started) else 1)


if __name__ == "__main__":
    main()
