"""What is meant to hurt: queries against a project of many nodes, and attacks on the whole server (hostile_attacks.py).

Each query is refused with a place and a reason, or answered, in bounded time. Under each attack the server stays within --peak-mb of memory
beyond the map of its store, and answers others within --slower times of what they get when it is quiet: those who come from another address and
those who come from the attackers' own.

The project is imported with `contex import`: synopses and descriptions of Debian's packages (`apt-cache dumpavail`), numbered metadata, and
made-up vectors, so that nothing has to be embedded. Prints the status and the least and greatest of three times; ends with 1 when anything
took longer than --seconds or was answered with a status of its own.
"""
import argparse
import collections
import json
import random
import re
import subprocess
import sys
import tempfile
import time

from hostile_attacks import ATTACKS, LARGE, PROBERS, watched
from support import BINARY, MODEL, Connection, Server

PROJECT = LARGE
# The least time of an attack.
ATTACK_SECONDS = 5


def texts():
    """Synopses and sentences, each once."""
    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode(errors="replace")
    found = re.findall(r"^Description(?:-en)?: (.+(?:\n .+)*)$", listing, re.MULTILINE)
    pieces = (piece.strip() for text in found for piece in re.split(r"\n \.\n|(?<=[.!?])\s|\n", text))
    return list(dict.fromkeys(piece for piece in pieces if len(piece) >= 10))


def fill(folder, sample, generator):
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as lines:
        for number, text in enumerate(sample):
            json.dump({"project_id": PROJECT, "data_key": f"k{number}", "data": {"text": text},
                       "metadata": {"n": number, "team": f"t{number % 50}"}, "vector": [round(generator.gauss(0, 1), 4) for _ in range(384)]}, lines)
            lines.write("\n")
        lines.flush()
        subprocess.run([BINARY, "import", lines.name, "--data-dir", folder, "--model-dir", MODEL], check=True)


def cases(sample, generator):
    words = list(dict.fromkeys(word for text in sample for word in text.split()))
    common = ["the", "library", "for", "and", "of", "a", "to", "package", "files", "support", "with", "data", "this", "that", "is", "in"]
    levels = b'{"metadata.n":1}'
    for _ in range(1_000):
        levels = b'{"not":' + levels + b"}"

    def query(text, **more):
        return {"query": text, **more}

    def filtered(value):
        return query("library", filter=value)
    return [
        ("an ordinary query", query("tools for image data"), 200),
        ("1 MB of one letter", query("x" * 1_000_000), 422),
        ("1 MB of words", query(" ".join(generator.choice(words) for _ in range(200_000))[:1_000_000]), 422),
        ("10,000 terms", query(" ".join(words[:10_000])), 422),
        ("1,024 terms", query(" ".join(words[:1_024])), 200),
        ("1,024 terms, by words only", query(" ".join(words[:1_024]), mode="keyword"), 200),
        ("a term of 100,000 letters", query("y" * 100_000), 422),
        ("a term of 30,000 letters", query("y" * 30_000), 200),
        ("stop words only", query("the of and to in is it this that by"), 200),
        ("frequent words only", query(" ".join(common)), 200),
        ("signs only", query("+-*\"():" * 4_000), 200),
        ("right to left, 5,000 combining marks", query("שלום עולם \u202e abc e" + "\u0301" * 5_000), 200),
        ("1,024 words that must be there", query(" ".join("+" + word for word in words[:1_024])), 200),
        ("1,000 words that must not", query("library " + " ".join("-" + word for word in words[:1_000])), 200),
        ("64 phrases of frequent words", query(" ".join(f'"{generator.choice(common)} {generator.choice(common)}"' for _ in range(64))), 200),
        ("16 prefixes of a letter", query(" ".join(letter + "*" for letter in "abcdefghijklmnop")), 200),
        ("16 such prefixes excluded", query("library " + " ".join(f"-{letter}*" for letter in "abcdefghijklmnop")), 200),
        ("2,000 fields data_key:k*", query("library " + "data_key:k* " * 2_000), 200),
        ("2,000 fields data_key:k<n>*", query("library " + " ".join(f"data_key:k{n}*" for n in range(2_000))), 200),
        ("1,500 fields -metadata.team:t*", query("library " + "-metadata.team:t* " * 1_500), 200),
        ("a field that looks at every node", query("library kind:object"), 200),
        ("filter of 1,000 levels", b'{"query":"library","filter":' + levels + b"}", 422),
        ("filter of 10,000 values", filtered({"metadata.n": list(range(10_000))}), 200),
        ("filter of 60 prefixes over all keys", filtered({"or": [{"data_key": {"prefix": "k"}} for _ in range(60)]}), 200),
        ("filter of 120 ranges over all numbers", filtered({"or": [{"metadata.n": {"gte": n}} for n in range(120)]}), (200, 422)),
        ("filter with an unknown field", filtered({"owner": 1}), 422),
        ("filter with a list where a number belongs", filtered({"metadata.n": {"gt": []}}), 422),
        ("negative weight", query("library", weights={"semantic": -1, "keyword": 2}), 422),
        ("weights of 0", query("library", weights={"semantic": 0, "keyword": 0}), 422),
        ("NaN as threshold", b'{"query":"library","threshold":NaN}', 422),
        ("NaN in the vector", b'{"query":"library","query_vector":[NaN' + b",0" * 383 + b"]}", 422),
        ("a vector of zeros", query("library", query_vector=[0] * 384), 422),
        ("a vector of three numbers", query("library", query_vector=[1, 1, 1]), 422),
        ("top_k 0", query("library", top_k=0), 422),
        ("top_k 1,000,000,000", query("library", top_k=10**9), 422),
        ("as_of near the beginning", query("library", as_of=1), (200, 422)),
    ]


def hurtful_queries(server, arguments, sample, generator):
    failures = 0
    connection = Connection(server.http_port)
    print("| query | status | ms, least and greatest of three |\n|---|---|---|")
    for name, body, expected in cases(sample, generator):
        times, statuses = [], set()
        for _ in range(3):
            started = time.perf_counter()
            answer = connection.call("POST", f"/api/v1/projects/{PROJECT}/query", body)
            times.append(time.perf_counter() - started)
            statuses.add(answer.status)
            if answer.status == 422 and not all(fault["loc"] and fault["msg"] for fault in answer.json["detail"]):
                failures += 1
                print(f"FAILED: {name}: no place or reason: {answer}", file=sys.stderr)
        if not statuses <= set(expected if isinstance(expected, tuple) else (expected,)) or max(times) > arguments.seconds:
            failures += 1
            print(f"FAILED: {name}: {statuses}, {max(times):.2f} s", file=sys.stderr)
        print(f"| {name} | {', '.join(map(str, sorted(statuses)))} | {min(times) * 1000:.1f} to {max(times) * 1000:.1f} |", flush=True)
    connection.close()
    return failures


def sustained(server, attack):
    """An attack that is over at once is made again until it has lasted: one slow answer of thirty is no percentile."""
    statuses, started = collections.Counter(), time.perf_counter()
    while True:
        statuses += attack(server) or collections.Counter()
        if time.perf_counter() - started > ATTACK_SECONDS:
            return statuses


def attack(data_dir, name, arguments):
    """One attack on a server of its own, which begins with the same data. The row of the table, and what is wrong."""
    faults = []
    ATTACKS[name].prepare()
    server = Server(data_dir)
    with server:
        for n, text in enumerate(("the lighthouse keeper is Maria", "the harbour opens at six", "boats are painted blue")):
            server.publish("probe", f"k{n}", {"text": text})
        _, _, resting, quiet = watched(server, lambda: time.sleep(5))
        statuses, seconds, peak, probers = watched(server, lambda: sustained(server, ATTACKS[name]))
        if server.process.poll() is not None:
            faults.append(f"the server ended with {server.process.returncode}")
            statuses = statuses or collections.Counter()
        elif server.call("GET", "/health").status != 200:
            faults.append("the server is not well afterwards")
        else:
            started = time.perf_counter()
            server.stop(40)
            if time.perf_counter() - started > 35:
                faults.append("SIGTERM took longer than the time to stop")
    if peak > arguments.peak_mb:
        faults.append(f"{peak:.0f} MB, at most {arguments.peak_mb:.0f} are allowed")
    for who, prober in probers.items():
        before, under = quiet[who].p99(), prober.p99()
        if under > arguments.slower * before:
            faults.append(f"{who} waited {under * 1000:.1f} ms, {under / before:.1f} times as long as before")
        if prober.failures:
            faults.append(f"{who} heard {dict(prober.failures)}")
    if statuses.get("500"):
        faults.append("500")
    said = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    row = f"| {name} | {said} | {seconds:.1f} | {resting:.0f} | {peak:.0f} |"
    for who, prober in probers.items():
        row += f" {quiet[who].p99() * 1000:.1f} | {prober.p99() * 1000:.1f} |"
    return row, faults


def main():
    parser = argparse.ArgumentParser(prog="tools/proof hostile", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=60_000)
    parser.add_argument("--seconds", type=float, default=5, help="what no answer to a query may take (5)")
    parser.add_argument("--attacks", default="all", help="words of the names of attacks with commas between them, all, or none (all)")
    parser.add_argument("--no-queries", action="store_true", help="only the attacks")
    parser.add_argument("--peak-mb", type=float, default=512, help="memory beyond the map of the store (512)")
    parser.add_argument("--slower", type=float, default=5, help="times the quiet p99 that others may wait (5)")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    chosen = [name for name in ATTACKS if arguments.attacks == "all" or any(word.strip() in name for word in arguments.attacks.split(","))]
    if arguments.attacks == "none":
        chosen = []
    generator = random.Random(arguments.seed)
    known = texts()
    if len(known) < arguments.documents:
        print(f"FAILED: apt-cache dumpavail has {len(known)} distinct sentences, {arguments.documents} are needed (apt-get update?)", file=sys.stderr)
        return 1
    sample = generator.sample(known, arguments.documents)
    failures = 0
    with tempfile.TemporaryDirectory(prefix="contex-hostile-") as folder:
        data_dir = folder + "/data"
        fill(data_dir, sample, generator)
        print(f"`tools/proof hostile` (seed {arguments.seed}, {arguments.documents} nodes)\n")
        if not arguments.no_queries:
            with Server(data_dir) as server:
                failures += hurtful_queries(server, arguments, sample, generator)
        if chosen:
            columns = ["attack", "answers", "s", "MB before", "MB at most"]
            columns += [f"p99 of {who} {when}, ms" for who in PROBERS for when in ("before", "under it")]
            print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
        for name in chosen:
            row, faults = attack(data_dir, name, arguments)
            print(row, flush=True)
            for fault in faults:
                failures += 1
                print(f"FAILED: {name}: {fault}", file=sys.stderr, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
