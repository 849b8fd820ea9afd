"""What rate limits and audit cost: two servers of one binary on the same data, one with both and one without, in turns.

CPU time of the server's process for each request is compared, because it does not depend on what else the machine does.
"""
import argparse
import random
import statistics
import time

from support import NO_ANSWERS, Connection, Server

KEY = "proof-root-key-given-by-the-operator"
WORDS = "harbour copper ledger winter signal orchard bridge kernel falcon marble tunnel beacon meadow anchor prism valley".split()


def run(rounds, queries, publishes):
    chance = random.Random(7)
    shared = {"AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": KEY, **NO_ANSWERS}
    plain = Server(environment={**shared, "CONTEX_RATE_LIMIT_ENABLED": "false", "CONTEX_AUDIT": "false"})
    guarded = Server(environment={**shared, "CONTEX_RATE_LIMIT_QUERY": "1000000", "CONTEX_RATE_LIMIT_PUBLISH": "1000000"})
    with plain, guarded:
        servers = {"without": plain, "with": guarded}
        connections = {name: Connection(server.http_port, headers={"X-API-Key": KEY}) for name, server in servers.items()}
        for name in servers:
            for number in range(500):
                text = " ".join(random.Random(number).choices(WORDS, k=12))
                answer = connections[name].call("POST", "/api/v1/data/publish", {"project_id": "p", "data_key": f"k{number}", "data": text})
                assert answer.status == 200, answer
        figures = {"query": {"with": [], "without": []}, "publish": {"with": [], "without": []}}
        latency = {"query": {"with": [], "without": []}, "publish": {"with": [], "without": []}}
        for turn in range(rounds):
            for name in (("with", "without") if turn % 2 else ("without", "with")):
                connection = connections[name]
                for what, count in (("query", queries), ("publish", publishes)):
                    begun = servers[name].processor_seconds()
                    for number in range(count):
                        started = time.perf_counter()
                        if what == "query":
                            body = {"query": "copper falcon bridge", "top_k": 5}
                            answer = connection.call("POST", "/api/v1/projects/p/query", body)
                        else:
                            vector = [chance.gauss(0, 1) for _ in range(384)]
                            body = {"project_id": "v", "data_key": f"k{number}", "data": f"{turn} {number} {chance.random()}", "vector": vector}
                            answer = connection.call("POST", "/api/v1/data/publish", body)
                        assert answer.status == 200, answer
                        latency[what][name].append(time.perf_counter() - started)
                    figures[what][name].append((servers[name].processor_seconds() - begun) / count * 1e3)
        for what in figures:
            ratios = [a / b for a, b in zip(figures[what]["with"], figures[what]["without"])]
            for name in ("without", "with"):
                values = figures[what][name]
                print(f"{what:8} {name:8} CPU ms a request: median {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f}), "
                      f"p50 {statistics.median(latency[what][name]) * 1e3:.2f} ms")
            print(f"{what:8} ratio of CPU, with to without: median {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=1500)
    parser.add_argument("--publishes", type=int, default=200)
    options = parser.parse_args()
    run(options.rounds, options.queries, options.publishes)
