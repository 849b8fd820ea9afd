"""This build beside an earlier one, request by request: two servers with the same data, asked in turns (A B B A), so that whatever else the
machine does falls on both. Prints p50 of both and the ratio of their speeds (above 1: this build is faster), median and spread over the rounds.

    tools/proof compare --base /path/to/the/earlier/contex
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time

import support
from proof_throughput import RawClient, request, synopses
from support import NO_ANSWERS, Server

PROJECT = "compared"


class BaseServer(Server):
    binary = None

    def command(self):
        command = [self.binary, *super().command()[1:]]
        known = subprocess.run([self.binary, "serve", "--help"], capture_output=True, text=True, check=True).stdout
        for place in [n for n, word in enumerate(command) if word.startswith("--") and word not in known][::-1]:
            del command[place:place + 2]  # an option that an earlier build does not have, and its value
        return command


def fill(client, texts, batch):
    for start in range(0, len(texts), batch):
        items = [{"project_id": PROJECT, "data_key": f"k{start + n}", "data": {"text": text}} for n, text in enumerate(texts[start:start + batch])]
        status, body = client.send(request("POST", "/api/v1/batch/publish", items))
        assert status == 200 and json.loads(body)["failed"] == 0, (status, body[:300])


def works(texts, fresh, generator):
    """Name -> a function of the request's number that makes it; the same number makes the same request for both servers."""
    path = f"/api/v1/projects/{PROJECT}/query"

    def vector(number):
        numbers = random.Random(number)
        return [round(numbers.gauss(0, 1), 4) for _ in range(384)]

    def publish(number, **more):
        return request("POST", "/api/v1/data/publish", {"project_id": PROJECT, "data_key": f"p{number % 500}", **more})
    cached = generator.sample(texts, 20)
    return {
        "hybrid query, text cached": lambda n: request("POST", path, {"query": cached[n % 20], "response_format": "json"}),
        "keyword query": lambda n: request("POST", path, {"query": texts[n % len(texts)], "mode": "keyword", "response_format": "json"}),
        "vector query, own vector": lambda n: request("POST", path, {"query_vector": vector(n % 97), "response_format": "json"}),
        "hybrid query, new text": lambda n: request("POST", path, {"query": fresh[n % len(fresh)] + f" {n}", "response_format": "json"}),
        "publish with vector": lambda n: publish(n, data={"text": fresh[n % len(fresh)], "n": n}, vector=vector(n)),
        "publish with embedding": lambda n: publish(n, data={"text": fresh[n % len(fresh)], "n": n}),
        "batch of 20 with embedding": lambda n: request("POST", "/api/v1/batch/publish", [
            {"project_id": PROJECT, "data_key": f"b{(20 * n + m) % 500}", "data": {"text": fresh[(20 * n + m) % len(fresh)], "n": n}}
            for m in range(20)]),
        "GET /health": lambda n: request("GET", "/health"),
    }


def block(client, make, numbers):
    times = []
    for number in numbers:
        content = make(number)
        started = time.perf_counter()
        status, body = client.send(content)
        times.append(time.perf_counter() - started)
        assert status == 200, (status, body[:300])
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(prog="tools/proof compare", description=__doc__.split("\n\n")[0])
    parser.add_argument("--base", required=True, help="the contex binary of the earlier build")
    parser.add_argument("--documents", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=40, help="of each work in each round and server (40)")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--only", help="works whose names hold this text")
    arguments = parser.parse_args()
    if not os.access(arguments.base, os.X_OK):
        print(f"FAILED: {arguments.base} is no program", file=sys.stderr)
        return 2
    generator = random.Random(arguments.seed)
    sample = generator.sample(synopses(), arguments.documents + 2_000)
    texts, fresh = sample[:arguments.documents], sample[arguments.documents:]
    BaseServer.binary = arguments.base
    with BaseServer(environment=NO_ANSWERS) as base, Server(environment=NO_ANSWERS) as new:
        for server in (base, new):
            filler = RawClient(server.http_port)
            fill(filler, texts, 200)
            filler.close()
        clients = [RawClient(base.http_port), RawClient(new.http_port)]
        print(f"`tools/proof compare` ({support.BINARY} beside {arguments.base}, {arguments.documents} texts, seed {arguments.seed}, "
              f"{arguments.rounds} rounds of {arguments.requests})\n")
        print("| work | p50 before, ms | p50 now, ms | ratio of speeds: median | least | greatest |\n|---|---|---|---|---|---|")
        number = 0
        for name, make in works(texts, fresh, generator).items():
            if arguments.only and arguments.only not in name:
                continue
            count = max(4, arguments.requests // 8) if "batch" in name else arguments.requests
            ratios, before, now = [], [], []
            for turn in range(arguments.rounds + 1):
                numbers = range(number, number + count)
                number += count
                order = (0, 1) if turn % 2 == 0 else (1, 0)
                medians = {place: block(clients[place], make, numbers) for place in order}
                if turn == 0:
                    continue  # warms both
                before.append(medians[0])
                now.append(medians[1])
                ratios.append(medians[0] / medians[1])
            print(f"| {name} | {statistics.median(before) * 1e3:.3f} | {statistics.median(now) * 1e3:.3f} | "
                  f"{statistics.median(ratios):.3f} | {min(ratios):.3f} | {max(ratios):.3f} |", flush=True)
        for client in clients:
            client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
