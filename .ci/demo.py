"""Holds the JSON of `wardmesh demo --once` to what the README promises of it."""

import json
import sys


def count(value):
    """Parts are given as a number or as a list."""
    return len(value) if isinstance(value, list) else value


def faults(demo):
    """What is wrong, one sentence each."""
    for part in ("nodes", "sites", "sensors"):
        if count(demo.get(part)) != 3:
            yield f"{part}: {demo.get(part)!r} where there should be 3"
    digests = demo.get("digests") or []
    if len(digests) != 3 or any(digest != digests[0] for digest in digests):
        yield f"digests: {digests!r} where there should be 3 equal ones"
    emitted, applied = demo.get("events_emitted"), demo.get("events_applied")
    if not emitted or emitted != applied:
        yield f"events: {emitted!r} emitted, {applied!r} applied"
    if not count(demo.get("devices") or 0):
        yield "devices: none"
    findings = demo.get("findings") or []
    if not any(finding.get("rule") and count(finding.get("sites") or 0) >= 2 for finding in findings):
        yield f"findings: {findings!r} where one over two sites is due"


with open(sys.argv[1], encoding="utf-8") as file:
    WRONG = list(faults(json.load(file)))
print("\n".join(WRONG) or "3 nodes, 3 sites, one digest, nothing lost")
sys.exit(1 if WRONG else 0)
