"""Fuzzes readers, one after the other, in the foreground.

    python -m tests.fuzz                          # 10,000 cases of each
    python -m tests.fuzz --reader=coco --cases=500 --seed=7

Prints a line per reader, and the first of each kind of finding; the exit code is their number.
"""

import argparse
import logging
import sys
import time

from tests.fuzz.runner import fuzz
from tests.fuzz.targets import targets


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--reader", action="append", default=[], help="default: all")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    findings = 0
    for target in targets(options.reader):
        start = time.monotonic()
        outcome = fuzz(target, options.cases, options.seed)
        print(f"{target.name}: {outcome}, {time.monotonic() - start:.0f} s", flush=True)
        for what, count in outcome.findings.items():
            print(f"  {count} times {what}: {outcome.examples[what]}", flush=True)
        findings += len(outcome.findings)
    return min(findings, 100)


if __name__ == "__main__":
    sys.exit(main())
