"""Backups beside a running server: what they cost, what they hold up, and that a restore is the store again.

    tools/proof backup [--documents 100000] [--rate 200] [--rounds 0]

A store of many documents with vectors is made, its server publishes with the journal on, and beside it a full backup is made, then 1 % of the
documents are published anew and an increment is made. Both are restored, and `contex check --content-hash` is compared. Publishes at a fixed rate
are timed in turns without and with full backups beside them. With --rounds the server and backups are killed at random, round after round
(`kill_rounds`, of which tools/test does a few): every restore has all that was acknowledged before its backup.
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import proof_crash
import support
from proof_crash import Failed, Proof
from proof_throughput import RawClient, percentile, request
from support import Server, ServerFailed, contex

JOURNAL = {"CONTEX_JOURNAL": "keep:64GiB"}
WORDS = proof_crash.WORDS
DIMENSION = 384


def run_json(*arguments):
    result = contex(*arguments, "--json", timeout=3600)
    if result.returncode != 0:
        raise Failed(f"contex {' '.join(arguments)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return json.loads(result.stdout), result.stderr


def content_hash(folder):
    return run_json("check", "--content-hash", "--data-dir", folder)[0]["content_hash"]


# MARK: kill -9

class Backups(threading.Thread):
    """Backups one after the other beside a server, some of them killed. `kept` are those that said they were made."""

    def __init__(self, data_dir, folder, seed, stop):
        super().__init__(daemon=True)
        self.data_dir, self.folder, self.random, self.stop = data_dir, folder, random.Random(seed), stop
        self.kept, self.killed, self.orphaned, self.problem = [], 0, 0, None

    def run(self):
        while not self.stop.is_set():
            flags = ["--full"] if self.random.random() < 0.3 else []
            process = subprocess.Popen([support.BINARY, "backup", "--data-dir", self.data_dir, "--to", self.folder, "--json", *flags],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if self.random.random() < 0.5:
                time.sleep(self.random.uniform(0, 0.25))
                process.send_signal(signal.SIGKILL)
            output, errors = process.communicate()
            if process.returncode == -signal.SIGKILL:
                self.killed += 1
            elif process.returncode == 0:
                self.kept.append(json.loads(output))
            # The server was killed between its meta page and the number that readers begin with, and only its next commit, or whoever opens the store
            # anew, mends that: the backup after this one, of the dead store, has to be made.
            elif "no meta page is of a snapshot that can be begun" in errors:
                self.orphaned += 1
            # Before its first command the store has no journal, and no store before the first start.
            elif "CONTEX_JOURNAL" not in errors and "no store" not in errors:
                self.problem = f"backup ended with {process.returncode}: {errors}"
                return


def restored(folder, target, *flags):
    report, _ = run_json("restore", "--from", folder, "--data-dir", target, *flags)
    if content_hash(target) != report["content_hash"]:
        raise Failed(f"a restored store says something else than its restore: {report}")
    return report


def restore_killed(folder, target, wanted, choice):
    """A restore that is killed leaves no store, or, when it had got its name already, a whole one."""
    process = subprocess.Popen([support.BINARY, "restore", "--from", folder, "--data-dir", target], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(choice.uniform(0, 0.2))
    process.kill()
    process.wait()
    if os.path.exists(target) and content_hash(target) != wanted:
        raise Failed("a killed restore left a data folder that is not the store")
    shutil.rmtree(target, ignore_errors=True)


def verify_others(proof, folder, scratch):
    """A state that a full backup has, made of the backups before it: the same, though nothing of it was used."""
    listed, _ = run_json("backup", "list", "--from", folder)
    places = [n for n, b in enumerate(listed["backups"]) if b["kind"] == "full" and n > 0 and listed["backups"][n - 1]["has_journal"]]
    if not places:
        return 0
    full = listed["backups"][proof.random.choice(places)]
    copy, target = os.path.join(scratch, "without"), os.path.join(scratch, "other")
    shutil.copytree(folder, copy)
    shutil.rmtree(os.path.join(copy, full["name"]))
    result = contex("restore", "--from", copy, "--data-dir", target, "--to-position", full["position"], "--json")
    shutil.rmtree(copy)
    if result.returncode == 3 and "no backup" in result.stderr:
        return 0  # no increment reaches over this position: the next backup was a full one too
    if result.returncode == 1 and "is not in" in result.stderr:
        return 0  # the increment that does follows the full one
    if result.returncode != 0:
        raise Failed(f"restore ended with {result.returncode}: {result.stderr}")
    if json.loads(result.stdout)["content_hash"] != full["content_hash"]:
        raise Failed(f"position {full['position']} by increments is not what {full['name']} has")
    shutil.rmtree(target)
    return 1


def kill_rounds(rounds, seed, report=print):
    """Raises Failed. Load of all kinds and backups beside it; both are killed; then a backup of what is left, restored, must be all of it."""
    server = Server(environment=JOURNAL)
    proof = Proof(server, seed)
    scratch = tempfile.mkdtemp(prefix="contex-conformance-backups-")
    folder = os.path.join(scratch, "backups")
    made = killed = orphaned = others = 0
    try:
        server.start()
        for number in range(1, rounds + 1):
            stop = threading.Event()
            backups = Backups(server.data_dir, folder, proof.random.getrandbits(64), stop)
            backups.start()
            proof.load(proof.random.uniform(0.3, 2))
            stop.set()
            backups.join(60)
            if backups.problem:
                raise Failed(backups.problem)
            made, killed, orphaned = made + len(backups.kept), killed + backups.killed, orphaned + backups.orphaned
            result = contex("backup", "--data-dir", server.data_dir, "--to", folder)
            if result.returncode == 4 and "--full" in result.stderr:
                result = contex("backup", "--data-dir", server.data_dir, "--to", folder, "--full")
            if result.returncode != 0:
                raise Failed(f"backup of the dead store ended with {result.returncode}: {result.stderr}")
            target = os.path.join(scratch, f"restored-{number}")
            wanted = content_hash(server.data_dir)
            restore_killed(folder, target, wanted, proof.random)
            if restored(folder, target)["content_hash"] != wanted:
                raise Failed("the restored store is another one")
            if number < rounds:
                shutil.rmtree(target)
            others += verify_others(proof, folder, scratch)
            server.launch()
            server.wait_until_healthy()
            proof.verify_events()
            proof.verify_data()
            proof.verify_agents()
        verified, _ = run_json("backup", "verify", "--from", folder)
        if verified["findings"]:
            raise Failed(f"{verified['findings']}")
        server.stop()
        # The last restored store, served, has what every worker knows of.
        shutil.copy(os.path.join(server.data_dir, "pepper"), os.path.join(target, "pepper"))
        with Server(data_dir=target, environment=JOURNAL) as second:
            proof.server = second
            proof.verified = dict.fromkeys(proof_crash.PROJECTS, 0)
            for project in proof_crash.PROJECTS:
                sequences = [int(event["sequence"]) for event in second.events(project)]
                if sequences != list(range(1, len(sequences) + 1)):
                    raise Failed(f"{project}: the restored log has gaps")
            proof.verify_data()
            proof.verify_agents()
        report(f"{rounds} rounds: {made} backups made beside the load, {killed} killed, {orphaned} left by their server, {verified['backups']} there, "
               f"{others} states made in two ways, {sum(m.requests for m in proof.models)} requests; all there")
        return made, killed
    finally:
        server.close()
        shutil.rmtree(scratch, ignore_errors=True)


# MARK: Measurements

def vector(choice):
    return [round(choice.uniform(-1, 1), 4) for _ in range(DIMENSION)]


def text(choice, words=30):
    return " ".join(choice.choices(WORDS, k=words)) + f" {choice.getrandbits(40):x}"


def import_documents(data_dir, count, choice):
    process = subprocess.Popen([support.BINARY, "import", "-", "--project", "big", "--data-dir", data_dir], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True)
    # Few vectors, each used often, would be one to the graph; a text of a hundred words is what a page has.
    for number in range(count):
        line = {"data_key": f"doc-{number}", "data": {"title": text(choice, 5), "text": text(choice, 100)}, "vector": vector(choice)}
        process.stdin.write(json.dumps(line) + "\n")
    process.stdin.close()
    if process.wait() != 0:
        raise Failed(f"import ended with {process.returncode}")


class Publishing(threading.Thread):
    """Publishes at a fixed rate, each by itself; what waits is sent as soon as it can be."""

    def __init__(self, port, rate, seconds, seed):
        super().__init__(daemon=True)
        self.port, self.rate, self.seconds, self.random = port, rate, seconds, random.Random(seed)
        self.times, self.stop = [], threading.Event()

    def run(self):
        client, begun = RawClient(self.port), time.perf_counter()
        for number in range(int(self.rate * self.seconds)):
            due = begun + number / self.rate
            content = request("POST", "/api/v1/data/publish", {
                "project_id": "live", "data_key": f"k{self.random.randrange(20_000)}", "data": {"text": text(self.random)}, "vector": vector(self.random)})
            time.sleep(max(0, due - time.perf_counter()))
            if self.stop.is_set():
                break
            status, answer = client.send(content)
            # From when it should have been sent: waiting behind others counts.
            self.times.append(time.perf_counter() - due)
            assert status == 200, answer[:300]
        client.close()


def timed(*arguments):
    started = time.perf_counter()
    report, errors = run_json(*arguments)
    return report, errors, time.perf_counter() - started


def measure(arguments):
    choice = random.Random(arguments.seed)
    scratch = tempfile.mkdtemp(prefix="contex-conformance-backups-")
    folder = os.path.join(scratch, "backups")
    server = Server(environment=JOURNAL)
    try:
        import_documents(server.data_dir, arguments.documents, choice)
        server.start()
        client = RawClient(server.http_port)

        def publish(count):
            for start in range(0, count, 100):
                items = [{"project_id": "big", "data_key": f"doc-{choice.randrange(arguments.documents)}",
                          "data": {"title": text(choice, 5), "text": text(choice, 100)}, "vector": vector(choice)} for _ in range(min(100, count - start))]
                status, answer = client.send(request("POST", "/api/v1/batch/publish", items))
                assert status == 200, answer[:300]

        publish(100)
        rows = []
        full, _, full_seconds = timed("backup", "--data-dir", server.data_dir, "--to", folder)
        full = full["made"]
        rows.append(("full backup, server idle", full_seconds, full))
        changed = max(100, arguments.documents // 100)
        publish(changed)
        increment, _, increment_seconds = timed("backup", "--data-dir", server.data_dir, "--to", folder)
        increment = increment["made"]
        rows.append((f"increment, {changed} documents published anew", increment_seconds, increment))
        print("| backup | s | MB of content | MB/s | MB stored | snapshot held, s | file grew, MB |\n|---|---|---|---|---|---|---|")
        for name, seconds, made in rows:
            print(f"| {name} | {seconds:.2f} | {made['bytes'] / 1e6:.1f} | {made['bytes'] / 1e6 / seconds:.0f} | {made['stored_bytes'] / 1e6:.1f} | "
                  f"{made['reader_held_seconds']:.2f} | {made['file_grown_bytes'] / 1e6:.0f} |", flush=True)
        print(f"\nincrement beside full: {increment_seconds / full_seconds:.3f} of the time, "
              f"{increment['stored_bytes'] / full['stored_bytes']:.3f} of the size")

        # Publishes without and with full backups beside them, in turns of the same length.
        pairs, growth = [], []
        for turn in range(arguments.turns):
            times = {}
            for beside in ((False, True), (True, False))[turn % 2]:
                publishing = Publishing(server.http_port, arguments.rate, 600, arguments.seed + turn)
                publishing.start()
                time.sleep(1)
                if beside:
                    made, errors, seconds = timed("backup", "--data-dir", server.data_dir, "--to", folder, "--full")
                    growth.append((seconds, made["made"]["file_grown_bytes"] / 1e6, made["made"]["bytes"] / 1e6 / seconds, errors))
                else:
                    time.sleep(full_seconds * 1.5)
                publishing.stop.set()
                publishing.join()
                times[beside] = sorted(publishing.times)
            pairs.append(times)
        print(f"\n| {arguments.rate} publishes/s | p50, ms | p95, ms | p99, ms | publishes |\n|---|---|---|---|---|")
        for beside, name in ((False, "alone"), (True, "beside a full backup")):
            joined = sorted(t for pair in pairs for t in pair[beside])
            print(f"| {name} | " + " | ".join(f"{percentile(joined, share) * 1e3:.1f}" for share in (0.5, 0.95, 0.99)) + f" | {len(joined)} |")
        ratios = [percentile(pair[True], 0.95) / percentile(pair[False], 0.95) for pair in pairs]
        print(f"\nratio of p95, of each turn: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
        for seconds, grown, speed, errors in growth:
            print(f"beside them: {seconds:.1f} s, {speed:.0f} MB/s, the file grew by {grown:.0f} MB{'; ' + errors.strip() if errors else ''}")

        client.close()
        # One more increment with many commands, for the way back in time.
        timed("backup", "--data-dir", server.data_dir, "--to", folder, "--full")
        client = RawClient(server.http_port)
        before = run_json("stats", "--data-dir", server.data_dir)[0]["position"]
        publish(arguments.commands)
        timed("backup", "--data-dir", server.data_dir, "--to", folder)
        client.close()
        assert server.stop() == 0, server.log_tail()
        print("\n| restore | s | content hash |\n|---|---|---|")
        wanted = content_hash(server.data_dir)
        restores = ((f"full and {arguments.commands} commands", [], wanted), ("full alone", ["--to-position", str(before)], None))
        for name, flags, hash_wanted in restores:
            target = os.path.join(scratch, "restored")
            report, _, seconds = timed("restore", "--from", folder, "--data-dir", target, *flags)
            equal = "" if hash_wanted is None else "equal" if report["content_hash"] == hash_wanted else "DIFFERENT"
            print(f"| {name}: {report['documents']} documents | {seconds:.1f} | {equal or 'that of the full backup'} |", flush=True)
            shutil.rmtree(target)
            if equal == "DIFFERENT":
                return 1
        report, _, seconds = timed("backup", "verify", "--from", folder)
        print(f"\nverify: {report['backups']} backups, {report['bytes'] / 1e6:.0f} MB in {seconds:.1f} s, {report['bytes'] / 1e6 / seconds:.0f} MB/s")
        return 1 if report["findings"] else 0
    finally:
        server.close()
        shutil.rmtree(scratch, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="tools/proof backup", description=__doc__.split("\n\n")[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--commands", type=int, default=10_000, help="that are applied after a full backup (10,000)")
    parser.add_argument("--rate", type=int, default=200, help="publishes a second beside backups (200)")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=0, help="of kill -9, and nothing measured")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    print(f"`tools/proof backup {' '.join(sys.argv[1:])}` (seed {arguments.seed})\n")
    try:
        if arguments.rounds:
            kill_rounds(arguments.rounds, arguments.seed, lambda line: print(line, flush=True))
            return 0
        return measure(arguments)
    except (Failed, ServerFailed, subprocess.TimeoutExpired) as problem:
        print(f"FAILED: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
