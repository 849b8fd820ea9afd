"""Starting and stopping as an operator sees it: a clear line and a non-zero exit, or an exit of 0 with the work done."""
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from support import BINARY, HOST, MODEL, Connection, contex, free_port


def serve(folder, *flags, model=MODEL, http_port=None):
    return contex("serve", "--data-dir", str(folder), "--http-port", str(http_port or free_port()), "--resp-port", "off", "--wire-port", "off",
                  "--model-dir", str(model), *flags, timeout=60)


def check_refused(result, *words):
    assert result.returncode not in (0, None) and result.returncode > 0, result  # refused, not crashed by a signal
    said = result.stderr.strip()
    assert said and len(said.splitlines()) <= 3, said
    assert all(word in said for word in words), said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        result = subprocess.run([BINARY, "version"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and "cannot be written" in result.stderr


def test_model_folder_missing(tmp_path):
    check_refused(serve(tmp_path / "data", model=tmp_path / "nothing"), str(tmp_path / "nothing"))


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.txt", "config.json"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "gone", "overwritten"])
def test_model_folder_damaged(tmp_path, name, damage):
    model = tmp_path / "model"
    model.mkdir()
    for entry in os.listdir(MODEL):
        if entry != name:
            (model / entry).symlink_to(os.path.join(os.path.abspath(MODEL), entry))
    path = model / name
    shutil.copyfile(os.path.join(MODEL, name), path)
    if damage == "gone":
        path.unlink()
    else:
        size = {"cut": path.stat().st_size // 3, "emptied": 0, "overwritten": path.stat().st_size}[damage]
        os.truncate(path, size)
        if damage == "overwritten":
            with open(path, "r+b") as file:
                file.write(b"\xff" * min(size, 4096))
    check_refused(serve(tmp_path / "data", model=model), name)


def test_data_folder_unwritable(tmp_path):
    (tmp_path / "file").write_text("a file, where a folder should be")
    check_refused(serve(tmp_path / "file" / "data"), str(tmp_path / "file"))


def test_port_taken(tmp_path):
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        port = listener.getsockname()[1]
        check_refused(serve(tmp_path / "data", http_port=port), str(port))


def test_terminate_finishes_what_runs(fresh, project):
    """A batch that is under way when SIGTERM comes is answered and stored; afterwards nobody listens."""
    fresh.publish(project, "first", {"a": 1})
    batch = [{"project_id": project, "data_key": f"key-{n}", "data": {"text": f"number {n} " + "of many words " * 30}} for n in range(60)]
    answers = []

    def send():
        answers.append(Connection(fresh.http_port).call("POST", "/api/v1/batch/publish", batch))

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.15)
    assert fresh.stop() == 0, fresh.log_tail()
    thread.join(60)
    assert answers and answers[0].status == 200 and answers[0].json["successful"] == 60
    with pytest.raises(OSError):
        fresh.call("GET", "/health")
    fresh.start()
    assert len(fresh.events(project)) == 61


def test_idle_connections_do_not_hold_up_the_stop(fresh):
    idle = [socket.create_connection((HOST, port)) for port in (fresh.http_port, fresh.resp_port) for _ in range(3)]
    started = time.monotonic()
    assert fresh.stop() == 0, fresh.log_tail()
    assert time.monotonic() - started < 10
    for connection in idle:
        connection.close()
