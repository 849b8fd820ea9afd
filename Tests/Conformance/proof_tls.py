"""What TLS costs: a server with a certificate and one without, the same texts and questions in turns. Cached queries over HTTP and over the
binary protocol on open connections, and HTTP requests that each bring a connection. The time of the server's own processor is read of /proc.
Bar: a cached query takes at most 1.25 times the p50 of a plain one.
"""
import argparse
import atexit
import http.client
import os
import random
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import proof_throughput
from support import CHECKOUT, HOST, NO_ANSWERS, Connection, Server

sys.path.insert(0, str(CHECKOUT / "tools/sdk/python/src"))

import contex_wire  # noqa: E402

BAR = 1.25


class Secure(Server):
    def connection(self):
        connection = Connection(self.http_port)
        connection.raw = http.client.HTTPSConnection(HOST, self.http_port, timeout=60, context=self.context)
        return connection

    def call(self, method, path, body=None, headers=None, timeout=60):
        connection = self.connection()
        try:
            return connection.call(method, path, body, headers)
        finally:
            connection.close()


def main():
    parser = argparse.ArgumentParser(prog="tools/proof tls", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--connects", type=int, default=500)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    texts = proof_throughput.synopses()
    needed = arguments.documents + arguments.queries
    if len(texts) < needed:
        print(f"FAILED: apt-cache dumpavail has {len(texts)} distinct synopses, {needed} are needed (apt-get update?)", file=sys.stderr)
        return 1
    sample = random.Random(arguments.seed).sample(texts, needed)
    documents, queries = sample[:arguments.documents], sample[arguments.documents:]
    folder = tempfile.mkdtemp(prefix="contex-proof-tls-")
    atexit.register(shutil.rmtree, folder, True)
    certificate, key = f"{folder}/server.pem", f"{folder}/server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=proof",
                    "-addext", f"subjectAltName=IP:{HOST}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=certificate)
    secured = Secure(environment={**NO_ANSWERS, "CONTEX_TLS_CERT": certificate, "CONTEX_TLS_KEY": key})
    secured.context = context
    with Server(environment=NO_ANSWERS) as plain, secured as secure:
        servers = {"plain": plain, "TLS": secure}
        for server in servers.values():
            server.publish_texts("debian", documents, 500)
        print(f"{arguments.documents} texts, {arguments.queries} queries x {arguments.rounds}, hybrid, top 12, "
              f"{secure_version(secure, context)}; load {os.getloadavg()[0]:.1f} at the start")
        open_connections = {"plain": Connection(plain.http_port), "TLS": secure.connection()}
        wires = {"plain": contex_wire.SyncClient(HOST, plain.wire_port), "TLS": contex_wire.SyncClient(HOST, secure.wire_port, tls=context)}

        def over_http(name, query):
            answer = open_connections[name].call("POST", "/api/v1/projects/debian/query", {"query": query, "top_k": 12, "response_format": "json"})
            assert answer.status == 200, answer

        def over_wire(name, query):
            wires[name].query(contex_wire.Query("debian", text=query, top_k=12))

        def with_connection(name, _):
            assert servers[name].call("GET", "/api/v1/health/live").status == 200

        print("| | plain p50 ms | TLS p50 ms | ratio | plain p95 | TLS p95 | server's processor, plain us | TLS us |\n|---|---|---|---|---|---|---|---|")
        ratios = {}
        few = [""] * min(arguments.connects, 100)
        for label, work, questions, rounds in [
            ("cached query, HTTP", over_http, queries, arguments.rounds), ("cached query, binary", over_wire, queries, arguments.rounds),
            ("new connection and GET /api/v1/health/live", with_connection, few, max(1, arguments.connects // len(few))),
        ]:
            seconds, processor = {name: [] for name in servers}, {name: 0.0 for name in servers}
            for turn in range(-1, rounds):
                for name in servers:
                    before = servers[name].processor_seconds()
                    for question in questions:
                        started = time.perf_counter()
                        work(name, question)
                        if turn >= 0:
                            seconds[name].append(time.perf_counter() - started)
                    if turn >= 0:
                        processor[name] += servers[name].processor_seconds() - before
            middle = {name: statistics.median(taken) for name, taken in seconds.items()}
            late = {name: sorted(taken)[len(taken) * 95 // 100] for name, taken in seconds.items()}
            each = {name: processor[name] / len(seconds[name]) * 1e6 for name in servers}
            ratios[label] = middle["TLS"] / middle["plain"]
            print(f"| {label} | {middle['plain'] * 1e3:.3f} | {middle['TLS'] * 1e3:.3f} | {ratios[label]:.2f} | {late['plain'] * 1e3:.3f} | "
                  f"{late['TLS'] * 1e3:.3f} | {each['plain']:.0f} | {each['TLS']:.0f} |")
        for wire in wires.values():
            wire.close()
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    return 0 if ratios["cached query, HTTP"] <= BAR else 1


def secure_version(server, context):
    import socket
    with socket.create_connection((HOST, server.http_port), 10) as raw, context.wrap_socket(raw, server_hostname=HOST) as tls:
        return f"{tls.version()} {tls.cipher()[0]}"


if __name__ == "__main__":
    sys.exit(main())
