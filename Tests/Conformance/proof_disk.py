"""What a node takes of the disk: real short texts published through the door, then `contex stats`: bytes and bytes a node by kind, the file.

    tools/proof disk [--texts 20000] [--own] [--batch 100]

The texts are those of `throughput`. With --own each comes with a vector of its own (a seeded random one), else the model makes it.
"""
import argparse
import json
import random
import subprocess
import sys

import support
from proof_throughput import RawClient, request, synopses
from support import Server

PROJECT = "disk"


def own_vector(number):
    generator = random.Random(number)
    return [round(generator.gauss(0, 1), 5) for _ in range(384)]


def main():
    parser = argparse.ArgumentParser(prog="tools/proof disk", description=__doc__.split("\n\n")[0])
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--own", action="store_true", help="publish each with a vector")
    parser.add_argument("--batch", type=int, default=100, help="texts in a request; 1: each by itself (100)")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    texts = random.Random(arguments.seed).sample(synopses(), arguments.texts)

    def item(number):
        more = {"vector": own_vector(number)} if arguments.own else {}
        return {"project_id": PROJECT, "data_key": f"text-{number}", "data": {"text": texts[number]}, **more}

    with Server() as server:
        client = RawClient(server.http_port)
        for start in range(0, len(texts), arguments.batch):
            numbers = range(start, min(len(texts), start + arguments.batch))
            if arguments.batch == 1:
                status, body = client.send(request("POST", "/api/v1/data/publish", item(start)))
                assert status == 200, (status, body[:300])
            else:
                status, body = client.send(request("POST", "/api/v1/batch/publish", [item(number) for number in numbers]))
                assert status == 200 and json.loads(body)["failed"] == 0, (status, body[:300])
        client.close()
        assert server.stop() == 0, server.log_tail()
        printed = subprocess.run([support.BINARY, "stats", "--data-dir", server.data_dir, "--json"], capture_output=True, check=True)
        checked = subprocess.run([support.BINARY, "check", "--data-dir", server.data_dir], capture_output=True)
    stats = json.loads(printed.stdout)
    nodes = stats["nodes"]
    command = " ".join(["tools/proof disk", *sys.argv[1:]])
    print(f"`{command}` (seed {arguments.seed}, {nodes} nodes)\n")
    print("| kind | records | keys and values | on the disk | a node |\n|---|---|---|---|---|")
    for kind in sorted(stats["kinds"], key=lambda kind: -kind["disk_bytes"]):
        if kind["disk_bytes"] >= nodes / 10:
            print(f"| {kind['kind']} | {kind['records']} | {kind['bytes']} | {kind['disk_bytes']} | {kind['disk_bytes'] / nodes:.1f} |")
    for name, key in (("all records", "record_bytes"), ("branches", "branch_bytes"), ("free for the next commits", "free_bytes"), ("file", "file_bytes")):
        print(f"| {name} | | | {stats[key]} | {stats[key] / nodes:.1f} |")
    print(f"\n{checked.stdout.decode().strip()}")
    return checked.returncode


if __name__ == "__main__":
    sys.exit(main())
