"""Backups of the real process: a few rounds of the proof (`tools/proof backup --rounds 100` does more), the drill of docs/operating.md, and a
backup that is held up."""
import json
import os
import random
import re
import shutil
import signal
import subprocess

import proof_backup
import pytest

import support
from support import CHECKOUT, Server, contex


def test_killed_servers_and_backups_lose_nothing():
    seed = int(os.environ.get("CONTEX_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"seed {seed}")
    proof_backup.kill_rounds(4, seed)


def test_the_restore_drill_of_the_manual(tmp_path):
    """Its commands, as they stand there, on a store with API keys: they must go through, and the key must open the restored store."""
    manual = (CHECKOUT / "docs/operating.md").read_text()
    drill = re.search(r"<!-- drill -->\n+```sh\n(.*?)```", manual, re.DOTALL)[1]
    root = "drill-root-key-given-by-the-operator"
    with Server(environment={"CONTEX_JOURNAL": "keep:1GiB", "AUTH_ENABLED": "true", "BOOTSTRAP_ADMIN_KEY": root}) as server:
        headers = {"X-API-Key": root}

        def publish(number):
            body = {"project_id": "p", "data_key": f"k{number}", "data": {"n": number}}
            assert server.call("POST", "/api/v1/data/publish", body, headers).status == 200

        for number in range(20):
            publish(number)
        key = tmp_path / "key"
        key.write_bytes(os.urandom(32))
        port = support.free_port()
        # Under its own name, whatever the binary under test is called.
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "contex").symlink_to(support.BINARY)
        environment = {**{k: v for k, v in os.environ.items() if not k.startswith(support.SETTINGS)},
                       "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "DATA": server.data_dir, "BACKUPS": str(tmp_path / "backups"),
                       "KEY": str(key), "DRILL": str(tmp_path / "drill"), "PORT": str(port), "CONTEX_MODEL_DIR": support.MODEL,
                       "AUTH_ENABLED": "true", "CONTEX_RESP_PORT": "off", "CONTEX_WIRE_PORT": "off"}
        # Twice: the second makes an increment.
        for number in range(2):
            result = subprocess.run(["bash", "-euo", "pipefail", "-c", drill], env=environment, capture_output=True, text=True, timeout=300)
            assert result.returncode == 0, result.stdout + result.stderr
            assert "all is well" in result.stdout and "healthy" in result.stdout, result.stdout
            publish(20 + number)
        assert contex("backup", "list", "--from", environment["BACKUPS"]).stdout.count("increment") == 1

        # What the drill restored, with its pepper: the key opens it.
        target = tmp_path / "again"
        assert contex("restore", "--from", environment["BACKUPS"], "--data-dir", str(target), "--encrypt-key-file", str(key)).returncode == 0
        with Server(data_dir=str(target), environment={"AUTH_ENABLED": "true"}) as second:
            assert second.call("GET", "/api/v1/projects/p/data", headers=headers).status == 200
            assert second.call("GET", "/api/v1/projects/p/data", headers={"X-API-Key": "another"}).status == 401


def test_a_backup_that_is_held_up_gives_up_before_the_file_has_grown_without_bound(tmp_path):
    with Server(environment={"CONTEX_JOURNAL": "keep:1GiB"}) as server:
        def publish(count, words):
            for start in range(0, count, 100):
                items = [{"project_id": "p", "data_key": f"k{n}", "data": {"text": f"{words} {n} {random.random()}"},
                          "vector": [random.random() for _ in range(384)]} for n in range(start, start + 100)]
                answer = server.call("POST", "/api/v1/batch/publish", items)
                assert answer.status == 200, answer
        publish(3000, "first")
        folder = str(tmp_path / "backups")
        for number in range(8):
            process = subprocess.Popen([support.BINARY, "backup", "--data-dir", server.data_dir, "--to", folder, "--full", "--growth-max", "1"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            # Stopped as soon as it reads: what is published now finds no free pages.
            while process.poll() is None and not (os.path.isdir(folder) and any(name.startswith("partial-") for name in os.listdir(folder))):
                pass
            process.send_signal(signal.SIGSTOP)
            publish(1000, f"later {number}")
            process.send_signal(signal.SIGCONT)
            output, errors = process.communicate(timeout=120)
            if process.returncode != 0:
                break
            # It had read all by then.
            shutil.rmtree(folder)
        if process.returncode == 0:
            pytest.skip("each backup had read all of the store before it could be stopped")
        assert process.returncode == 1 and "--growth-max" in errors, (process.returncode, output, errors)
        assert os.listdir(folder) == []
        # The next has nothing in its way, and the server served all the while.
        made = json.loads(contex("backup", "--data-dir", server.data_dir, "--to", folder, "--json").stdout)["made"]
        assert made["kind"] == "full" and made["reader_held_seconds"] > 0


def test_answers_and_exit_codes(tmp_path):
    folder, data = str(tmp_path / "backups"), str(tmp_path / "data")
    assert contex("backup", "--data-dir", data, "--to", folder).returncode == 3
    assert not os.path.exists(folder)
    with Server() as server:
        server.publish("p", "k", {"a": 1})
        made = contex("backup", "--data-dir", server.data_dir, "--to", folder)
        assert made.returncode == 0 and "made backup 00000001-full" in made.stdout and "CONTEX_JOURNAL" in made.stdout, made
        server.publish("p", "k", {"a": 2})
        short = contex("backup", "--data-dir", server.data_dir, "--to", folder)
        assert short.returncode == 4 and "--full" in short.stderr, short
        assert contex("backup", "--data-dir", server.data_dir, "--to", folder, "--full").returncode == 0
        for flags in (["--with-secrets"], ["--growth-max", "0"], ["--encrypt-key-file", "a", "--passphrase-file", "b"]):
            assert contex("backup", "--data-dir", server.data_dir, "--to", folder, *flags).returncode == 2, flags
        # Never over a store that is used.
        taken = contex("restore", "--from", folder, "--data-dir", server.data_dir)
        assert taken.returncode == 4 and server.query("p", "a", threshold=0)["matches"]
    listed = contex("backup", "list", "--from", folder)
    assert listed.returncode == 0 and listed.stdout.count("-full") == 2
    verified = contex("backup", "verify", "--from", folder)
    assert verified.returncode == 0 and "all is well: 2 backups" in verified.stdout
    assert contex("restore", "--from", folder, "--data-dir", data, "--to-position", "99").returncode == 3
    assert contex("restore", "--from", folder, "--data-dir", data, "--to-time", "noon").returncode == 2
    first = json.loads(contex("backup", "list", "--from", folder, "--json").stdout)["backups"][0]["position"]
    restored = contex("restore", "--from", folder, "--data-dir", data, "--to-position", first)
    assert restored.returncode == 0 and f"position {first}," in restored.stdout and "content hash" in restored.stdout, restored
    assert contex("check", "--data-dir", data).returncode == 0
    block = os.path.join(folder, "00000002-full", "data-00001")
    with open(block, "r+b") as file:
        file.seek(40)
        byte = file.read(1)
        file.seek(40)
        file.write(bytes([byte[0] ^ 1]))
    verified = contex("backup", "verify", "--from", folder)
    assert verified.returncode == 1 and "00000002-full" in verified.stdout and "block 0" in verified.stdout
    assert contex("restore", "--from", folder, "--data-dir", str(tmp_path / "other")).returncode == 1
    assert sorted(os.listdir(tmp_path)) == ["backups", "data"]
