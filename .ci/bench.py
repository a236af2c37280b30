"""Checks the last line of a bench's output: one JSON object, verified, with the figures that were asked for.

    bench.py NAME FIELD,FIELD,... FILE

`ingest` has to begin with the fields in their order. Every figure is above zero, but those of NONE, which may be
zero honestly. No figure is held against a target: CI is slow and noisy.
"""

import json
import sys

NONE = {"growth_mib"}


def main(name, fields, path):
    with open(path, encoding="utf-8") as file:
        last = file.read().rstrip("\n").rsplit("\n", 1)[-1]
    try:
        line = json.loads(last)
    except ValueError:
        sys.exit(f"{name}: the last line is no JSON: {last[:200]}")
    fields = fields.split(",")
    if line.get("bench") != name or line.get("verified") is not True:
        sys.exit(f"{name}: not verified: {last[:200]}")
    for field in fields:
        if field == "verified":
            continue
        value = line.get(field)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            sys.exit(f"{name}: {field} is {value!r}, not a figure")
        if value < 0 or (value == 0 and field not in NONE):
            sys.exit(f"{name}: {field} is {value!r}: nothing was measured")
    if name == "ingest" and list(line)[: len(fields)] != fields:
        sys.exit(f"{name}: the line begins with {list(line)[:len(fields)]}, not with {fields}")
    print(f"{name}: verified, " + ", ".join(f"{field} {line[field]}" for field in fields if field != "verified"))


main(*sys.argv[1:])
