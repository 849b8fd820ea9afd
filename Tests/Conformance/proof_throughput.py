"""10,000 real short texts published in batches, then 1,000 queries: publishes per second, query latency alone and with 8 clients,
texts never embedded before and texts from the cache, resident memory, cold start to the first answer.

The texts are the synopses of Debian's packages (`apt-cache dumpavail`), a seeded sample; queries are other synopses than those
published. The client writes prepared requests to a raw socket and reads the answer up to its Content-Length, one process per
client, so what Python adds is small; it is measured on GET /health with the same code and stated beside the figures.
"""
import argparse
import json
import multiprocessing
import os
import random
import re
import socket
import subprocess
import sys
import time

from support import HOST, MODEL, NO_ANSWERS, Server

PROJECT = "debian"


def synopses():
    """Distinct synopses in the order of the package list."""
    listing = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode(errors="replace")
    found = re.findall(r"^Description(?:-en)?: (.+)$", listing, re.MULTILINE)
    return list(dict.fromkeys(text.strip() for text in found if len(text.strip()) >= 10))


def request(method, path, body=None):
    content = b"" if body is None else json.dumps(body).encode()
    return (f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            .encode() + content)


class RawClient:
    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), 600)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, content):
        """(status, body) of one prepared request."""
        self.socket.sendall(content)
        received = self.socket.recv(65536)
        while b"\r\n\r\n" not in received:
            received += self.more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
        while len(body) < length:
            body += self.more()
        return int(head[9:12]), body

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection")
        return piece

    def close(self):
        self.socket.close()


def client_process(port, requests, barrier, results):
    client = RawClient(port)
    barrier.wait()
    times = []
    for content in requests:
        started = time.perf_counter()
        status, body = client.send(content)
        times.append(time.perf_counter() - started)
        assert status == 200, (status, body[:300])
    client.close()
    results.put(times)


def measure(port, requests, clients):
    """Seconds per request, all of them, and requests per second with that many clients at once."""
    results, barrier = multiprocessing.Queue(), multiprocessing.Barrier(clients + 1)
    processes = [multiprocessing.Process(target=client_process, args=(port, requests[n::clients], barrier, results)) for n in range(clients)]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    times = [seconds for _ in processes for seconds in results.get(timeout=600)]
    elapsed = time.perf_counter() - started
    for process in processes:
        process.join()
    return sorted(times), len(requests) / elapsed


def percentile(times, share):
    return times[min(len(times) - 1, int(len(times) * share))]


def cold_start(server, query):
    """Seconds from the start of the process to /health and to the first answer to a query."""
    started = time.perf_counter()
    server.launch()
    server.wait_until_healthy(pause=0.001)
    healthy = time.perf_counter() - started
    client = RawClient(server.http_port)
    status, _ = client.send(query)
    assert status == 200
    client.close()
    return healthy, time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(prog="tools/proof throughput", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--mode", default="hybrid", choices=["hybrid", "semantic", "keyword"])
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    texts = synopses()
    needed = arguments.documents + 2 * arguments.queries
    if len(texts) < needed:
        print(f"FAILED: apt-cache dumpavail has {len(texts)} distinct synopses, {needed} are needed (apt-get update?)", file=sys.stderr)
        return 1
    sample = random.Random(arguments.seed).sample(texts, needed)
    documents, alone, together = (sample[:arguments.documents], sample[arguments.documents:-arguments.queries], sample[-arguments.queries:])

    def query(text):
        return request("POST", f"/api/v1/projects/{PROJECT}/query",
                       {"query": text, "top_k": 10, "threshold": 0, "mode": arguments.mode, "response_format": "json"})

    rows = []
    with Server(environment=NO_ANSWERS) as server:
        memory_empty = server.resident_kilobytes()
        client = RawClient(server.http_port)
        body = [{"project_id": PROJECT, "data_key": f"text-{n}", "data": text, "data_format": "text"} for n, text in enumerate(documents)]
        batches = [request("POST", "/api/v1/batch/publish", body[n:n + arguments.batch]) for n in range(0, len(body), arguments.batch)]
        started = time.perf_counter()
        for batch in batches:
            status, answer = client.send(batch)
            assert status == 200 and json.loads(answer)["failed"] == 0, (status, answer[:300])
        published = len(documents) / (time.perf_counter() - started)
        rows.append((f"publish, batches of {arguments.batch}, 1 client", [], f"{published:.0f} texts/s"))
        memory_published = server.resident_kilobytes()

        single = [request("POST", "/api/v1/data/publish", {"project_id": PROJECT, "data_key": f"single-{n}", "data": {"number": n, "text": t}})
                  for n, t in enumerate(alone[:200])]
        times, rate = measure(server.http_port, single, 1)
        rows.append(("publish, one at a time, 1 client", times, f"{rate:.0f}/s"))
        client.close()

        for clients, held_out in ((1, alone), (arguments.clients, together)):
            name = f"{clients} client" + "s" * (clients > 1)
            times, rate = measure(server.http_port, [query(text) for text in held_out], clients)
            rows.append((f"query, new text, {name}", times, f"{rate:.0f}/s"))
            few = held_out[-100:]  # embedded just now
            times, rate = measure(server.http_port, [query(few[n % len(few)]) for n in range(arguments.queries)], clients)
            rows.append((f"query, text in the cache, {name}", times, f"{rate:.0f}/s"))
            times, rate = measure(server.http_port, [request("GET", "/health")] * arguments.queries, clients)
            rows.append((f"GET /health, {name} (what client and HTTP cost by themselves)", times, f"{rate:.0f}/s"))
        memory_end = server.resident_kilobytes()
        assert server.stop() == 0, server.log_tail()

        starts = []
        for _ in range(5):
            starts.append(cold_start(server, query("a tool that shows network traffic")))
            server.stop()
        healthy, first = (sorted(column)[2] for column in zip(*starts))
        size = sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for folder, _, names in os.walk(server.data_dir) for name in names)

    command = " ".join(["tools/proof throughput", *sys.argv[1:]])
    print(f"`{command}` (seed {arguments.seed}, {os.cpu_count()} cores, {len(documents)} texts, mode {arguments.mode}, model {os.path.basename(MODEL)})\n")
    print("| work | p50 ms | p95 ms | p99 ms | rate |\n|---|---|---|---|---|")
    for name, times, rate in rows:
        figures = [f"{percentile(times, share) * 1000:.2f}" for share in (0.5, 0.95, 0.99)] if times else ["", "", ""]
        print(f"| {name} | {' | '.join(figures)} | {rate} |")
    print(f"| cold start to GET /health, median of 5 | {healthy * 1000:.0f} | | | |")
    print(f"| cold start to the first query's answer, median of 5 | {first * 1000:.0f} | | | |")
    print("\n| resident memory, MB | all | anonymous | of files (the mapped model and store) |\n|---|---|---|---|")
    for name, memory in (("empty", memory_empty), ("after publishing", memory_published), ("after the queries", memory_end)):
        print(f"| {name} | {memory['VmRSS'] / 1024:.0f} | {memory['RssAnon'] / 1024:.0f} | {memory['RssFile'] / 1024:.0f} |")
    print(f"| peak | {memory_end['VmHWM'] / 1024:.0f} | | |")
    print(f"\nOn disk: {size / 1e6:.0f} MB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
