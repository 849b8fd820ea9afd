"""The doors beside each other: pings and queries over the binary protocol, and the same queries over HTTP, in one run and by the same kind of
client (Benchmarks/Server: blocking sockets, a thread each). Texts and queries are synopses of Debian's packages, a seeded sample; each
query has been asked before, so its vector is known.
"""
import argparse
import os
import random
import subprocess
import sys

import proof_throughput
from support import CHECKOUT, NO_ANSWERS, Server

PACKAGE = CHECKOUT / "Benchmarks/Server"


def main():
    parser = argparse.ArgumentParser(prog="tools/proof wire", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement; two of each, in turn")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--again", action="store_true", help="let the server keep answers: the same queries again, with nothing published between")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    subprocess.run(["swift", "build", "-c", "release", "--package-path", str(PACKAGE)], check=True, stdout=sys.stderr,
                   env={**os.environ, "CONTEX_TARGETS": "Wire"})
    texts = proof_throughput.synopses()
    needed = arguments.documents + arguments.queries
    if len(texts) < needed:
        print(f"FAILED: apt-cache dumpavail has {len(texts)} distinct synopses, {needed} are needed (apt-get update?)", file=sys.stderr)
        return 1
    sample = random.Random(arguments.seed).sample(texts, needed)
    documents, queries = sample[:arguments.documents], sample[arguments.documents:]
    with Server(environment={} if arguments.again else NO_ANSWERS) as server:
        server.publish_texts("debian", documents, arguments.batch)
        kept = "answers kept" if arguments.again else "no answer kept"
        print(f"{arguments.documents} texts, {arguments.queries} queries, hybrid, top 10, {kept}; load {os.getloadavg()[0]:.1f} at the start")
        measured = subprocess.run(
            [str(PACKAGE / ".build/release/ServerBenchmark"), str(server.wire_port), str(server.http_port), "debian", str(arguments.seconds)],
            input="\n".join(" ".join(query.split()) for query in queries) + "\n", text=True, stdout=subprocess.PIPE, check=True)
        print("| | a second | p50 ms | p99 ms |\n|---|---|---|---|")
        for line in measured.stdout.splitlines():
            print("| " + " | ".join(line.split("\t")) + " |")
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 0


if __name__ == "__main__":
    sys.exit(main())
