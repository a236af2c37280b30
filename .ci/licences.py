"""Holds every dependency to the licences and sources of deny.toml; needs no tool but cargo."""

import json
import re
import subprocess
import sys
import tomllib

with open("deny.toml", "rb") as file:
    POLICY = tomllib.load(file)
ALLOWED = set(POLICY["licenses"]["allow"])
REGISTRIES = {f"registry+{url}" for url in POLICY["sources"]["allow-registry"]}


def permitted(expression):
    """Whether an SPDX expression can be met by the allowed licences alone ('/' is an old OR)."""
    tokens = re.findall(r"[()]|[^\s()]+(?: WITH [^\s()]+)?", expression.replace("/", " OR "))

    def either():
        met = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token != "(":
            return token in ALLOWED
        met = either()
        tokens.pop(0)
        return met

    return either() and not tokens


def faults(package):
    """What is wrong with one package, one sentence each."""
    name = f"{package['name']} {package['version']}"
    if not permitted(package["license"] or "none"):
        yield f"{name}: licence {package['license']!r} is not allowed by deny.toml"
    if package["source"] not in REGISTRIES | {None}:
        yield f"{name}: comes from {package['source']}"


assert permitted("(MIT OR GPL-3.0) AND ISC") and permitted("Unlicense/MIT")
assert not permitted("MIT AND GPL-3.0") and not permitted("GPL-3.0") and not permitted("none")
METADATA = json.loads(
    subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"])
)
WRONG = [fault for package in METADATA["packages"] for fault in faults(package)]
print("\n".join(WRONG) or f"{len(METADATA['packages'])} packages, all within deny.toml")
sys.exit(1 if WRONG else 0)
