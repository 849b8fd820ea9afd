"""The journal: what keeping it costs, and that a replay is the store again, byte by byte, with every level of kernels.

    tools/proof replay [--texts 10000] [--rounds 12]

Real short texts are published with the journal on, some are published again, some deleted, agents registered and removed. Then `contex replay`
applies the journal to empty folders, with each level of kernels that the processor has, and `contex check --content-hash` is compared.
"""
import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import support
from proof_disk import own_vector
from proof_throughput import RawClient, request, synopses
from support import Server

JOURNAL = {"CONTEX_JOURNAL": "keep:64GiB"}


def send(client, method, path, body=None):
    status, answer = client.send(request(method, path, body))
    assert status == 200, (status, answer[:300])


def fill(server, texts):
    """A store with a past. Returns the seconds that it took."""
    client = RawClient(server.http_port)
    started = time.perf_counter()
    for start in range(0, len(texts), 100):
        send(client, "POST", "/api/v1/batch/publish", [
            {"project_id": f"p{n % 3}", "data_key": f"t{n}", "data": {"text": texts[n]}} for n in range(start, min(start + 100, len(texts)))])
        if start % 1_000 == 0:
            send(client, "POST", "/api/v1/agents/register", {"agent_id": f"a{start}", "project_id": "p0", "data_needs": [texts[start]]})
    for n in range(0, len(texts), 20):
        send(client, "POST", "/api/v1/data/publish", {"project_id": f"p{n % 3}", "data_key": f"t{n}", "data": {"text": texts[n] + " again"}})
        send(client, "DELETE", f"/api/v1/projects/p{(n + 1) % 3}/data/t{n + 1}")
    send(client, "DELETE", "/api/v1/projects/p0/agents/a0")
    seconds = time.perf_counter() - started
    client.close()
    return seconds


def content_hash(folder):
    return subprocess.run([support.BINARY, "check", "--content-hash", "--data-dir", folder], capture_output=True, check=True).stdout.decode().strip()


def levels():
    flags = open("/proc/cpuinfo", encoding="utf-8").read()
    return ["portable"] + [name for name, flag in (("avx2", " avx2"), ("avx512", " avx512bw")) if flag in flags]


def cost(texts, rounds, own):
    """Texts a second without and with the journal, in turns: medians of `rounds`, and of their ratios."""
    with Server() as off, Server(environment=JOURNAL) as on:
        clients = [RawClient(off.http_port), RawClient(on.http_port)]
        rates = [[], []]
        for turn in range(rounds + 1):
            for place in ((0, 1), (1, 0))[turn % 2]:
                numbers = range(turn * 100, turn * 100 + 100)
                items = [{"project_id": "p", "data_key": f"t{n}", "data": {"text": texts[n]}, **({"vector": own_vector(n)} if own else {})} for n in numbers]
                prepared = request("POST", "/api/v1/batch/publish", items)
                started = time.perf_counter()
                status, _ = clients[place].send(prepared)
                assert status == 200, status
                # The first round fills caches.
                if turn:
                    rates[place].append(100 / (time.perf_counter() - started))
        for client in clients:
            client.close()
    ratios = [b / a for a, b in zip(*rates)]
    return statistics.median(rates[0]), statistics.median(rates[1]), statistics.median(ratios), min(ratios), max(ratios)


def main():
    parser = argparse.ArgumentParser(prog="tools/proof replay", description=__doc__.split("\n\n")[0])
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=12, help="of the comparison with and without the journal (12)")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    texts = random.Random(arguments.seed).sample(synopses(), arguments.texts)
    print(f"`tools/proof replay {' '.join(sys.argv[1:])}` (seed {arguments.seed})\n")
    failures = 0
    with Server(environment=JOURNAL) as server:
        published = fill(server, texts)
        assert server.stop() == 0, server.log_tail()
        wanted = content_hash(server.data_dir)
        print(f"published in {published:.1f} s, content hash {wanted[:16]}...\n\n| kernels | replay, s | beside publishing | content hash |\n|---|---|---|---|")
        for level in levels():
            folder = tempfile.mkdtemp(prefix="contex-conformance-replay-")
            target = os.path.join(folder, "data")
            started = time.perf_counter()
            subprocess.run([support.BINARY, "replay", "--from", server.data_dir, "--data-dir", target], check=True, capture_output=True,
                           env={**os.environ, "CONTEX_KERNELS": level})
            seconds = time.perf_counter() - started
            equal = content_hash(target) == wanted
            failures += not equal
            print(f"| {level} | {seconds:.1f} | {seconds / published:.2f} | {'equal' if equal else 'DIFFERENT'} |", flush=True)
            shutil.rmtree(folder)
    print("\n| texts of a batch of 100 | without a journal | with it | ratio (least, most) |\n|---|---|---|---|")
    for own in (True, False):
        off, on, ratio, least, most = cost(texts, arguments.rounds, own)
        what = "with vectors given" if own else "with embedding"
        print(f"| {what} | {off:.0f}/s | {on:.0f}/s | {ratio:.3f} ({least:.2f}, {most:.2f}) |", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
