"""Queries whose answer is known beside the same queries searched for: two servers of one build with the same texts, one of which keeps no
answers, asked in turns. Prints p50, processor time of the server for a query, and the ratio of both p50.
"""
import argparse
import os
import random
import statistics
import sys
import time

import proof_throughput
from support import NO_ANSWERS, Connection, Server


def block(server, queries, count):
    connection, times = Connection(server.http_port), []
    for number in range(count):
        started = time.perf_counter()
        answer = connection.call("POST", "/api/v1/projects/debian/query",
                                 {"query": queries[number % len(queries)], "top_k": 10, "response_format": "json"})
        times.append(time.perf_counter() - started)
        assert answer.status == 200, answer
    connection.close()
    return statistics.median(times) * 1_000


def main():
    parser = argparse.ArgumentParser(prog="tools/proof answers", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=2_500)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--requests", type=int, default=1_000, help="of each block")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    texts = random.Random(arguments.seed).sample(proof_throughput.synopses(), arguments.documents + arguments.queries)
    documents, queries = texts[:arguments.documents], texts[arguments.documents:]
    with Server() as kept, Server(environment=NO_ANSWERS) as searched:
        servers = {"known": kept, "searched for": searched}
        for server in servers.values():
            server.publish_texts("debian", documents, 500)
            block(server, queries, 2 * len(queries))
        times, work = {name: [] for name in servers}, {name: [] for name in servers}
        for turn in range(arguments.rounds):
            for name in servers if turn % 2 else reversed(list(servers)):
                before = servers[name].processor_seconds()
                times[name].append(block(servers[name], queries, arguments.requests))
                work[name].append((servers[name].processor_seconds() - before) * 1_000 / arguments.requests)
    print("| answer | p50, ms | CPU ms a query |\n|---|---|---|")
    for name in servers:
        print(f"| {name} | {statistics.median(times[name]):.3f} | {statistics.median(work[name]):.2f} |")
    ratios = sorted(b / a for a, b in zip(times["known"], times["searched for"]))
    print(f"\nratio of p50: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); load {os.getloadavg()[0]:.1f} at the end")
    return 0


if __name__ == "__main__":
    sys.exit(main())
