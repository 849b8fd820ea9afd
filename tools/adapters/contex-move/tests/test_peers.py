"""Collections of a real Chroma (a folder and its server) and of Qdrant's local mode, moved into a real server. Each is skipped where it is not there."""
import random
import subprocess
import sys
import time
import uuid

import pytest
from contex_move import Chroma, MoveFailed, Qdrant, SourceFailed, State, move
from support import HOST, free_port

COUNT = 700  # more than two pages
WORDS = "river stone bridge paper music garden engine letter window mountain".split()


def texts():
    generator = random.Random(3)
    return [" ".join(generator.choices(WORDS, k=12)) + f" number {n}" for n in range(COUNT)]


class Cut(Exception):
    pass


def cut_off(source, contex, project, state, after, **more):
    """Moves until so many records are acknowledged, and is gone."""
    def progress(report):
        if report.read >= after:
            raise Cut
    with pytest.raises(Cut):
        move(source, contex, project.project_id, state=state, progress=progress, **more)


def check(contex, project, report, keys):
    assert report.complete and report.resumed and report.counted == report.read == report.documents == COUNT, report.text()
    assert report.published + report.unchanged == COUNT and report.compared == 50 and "complete" in report.text()
    there = list(project.events())
    assert sorted(event.data_key for event in there) == sorted(keys), "each once"


@pytest.fixture
def state(tmp_path):
    return State(str(tmp_path / "state.json"))


@pytest.mark.parametrize("as_server", [False, True])
def test_chroma(contex, project, state, tmp_path, as_server):
    chromadb = pytest.importorskip("chromadb")
    folder, lines = str(tmp_path / "chroma"), texts()
    ids = [f"doc/{n}" for n in range(COUNT)]
    client = chromadb.PersistentClient(folder)
    collection = client.create_collection("notes", embedding_function=None)
    collection.add(ids=ids, documents=lines, embeddings=[[1.0, n / COUNT, 0.5] for n in range(COUNT)],
                   metadatas=[{"n": n, "even": n % 2 == 0, "share": n / 8} for n in range(COUNT)])
    place, process = folder, None
    if as_server:
        port = free_port()
        place = f"http://{HOST}:{port}"
        command = [sys.executable, "-c", "import sys; sys.argv[0] = 'chroma'; from chromadb.cli.cli import app; app()"]
        process = subprocess.Popen([*command, "run", "--path", folder, "--host", HOST, "--port", str(port)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                source = Chroma(place, "notes", vectors=True)
                break
            except SourceFailed:
                assert process and process.poll() is None and time.monotonic() < deadline
                time.sleep(0.3)
        cut_off(source, contex, project, state, 300, keep_vectors=True)
        report = move(Chroma(place, "notes", vectors=True), contex, project.project_id, state=state, keep_vectors=True)
        check(contex, project, report, ids)
        document = project.get("doc/6")
        assert document.data == {"text": lines[6]} and document.metadata == {"n": 6, "even": True, "share": 0.75}
        best = project.query(query_vector=[1.0, 500 / COUNT, 0.5] + [0.0] * 381, mode="semantic", threshold=0.9, top_k=1).matches[0]
        mine = collection.query(query_embeddings=[[1.0, 500 / COUNT, 0.5]], n_results=1)["documents"][0][0] if not as_server else lines[500]
        assert best.data["text"] == mine == lines[500]
        with pytest.raises(SourceFailed):
            Chroma(place, "none", vectors=False)
    finally:
        if process:
            process.terminate()
            process.wait(30)


def test_qdrant(contex, project, state, tmp_path):
    qdrant_client = pytest.importorskip("qdrant_client")
    from qdrant_client import models
    folder, lines = str(tmp_path / "qdrant"), texts()
    ids = [str(uuid.UUID(int=n * 7_919 + 1)) for n in range(COUNT)]
    client = qdrant_client.QdrantClient(path=folder)
    client.create_collection("notes", vectors_config=models.VectorParams(size=3, distance=models.Distance.COSINE))
    client.upsert("notes", [models.PointStruct(id=ids[n], vector=[1.0, n / COUNT, 0.5], payload={"page_content": lines[n], "metadata": {"n": n}})
                            for n in range(COUNT)])
    client.create_collection("named", vectors_config={name: models.VectorParams(size=2, distance=models.Distance.DOT) for name in ("a", "b")})
    client.upsert("named", [models.PointStruct(id=n, vector={"a": [1.0, 0.0], "b": [0.0, 1.0]}, payload={"kind": "no text", "n": n}) for n in range(3)])
    client.close()

    def opened(collection, **more):
        return Qdrant(folder, collection, None, True, more.get("vector_name"))
    source = opened("notes")
    cut_off(source, contex, project, state, 300, keep_vectors=True)
    source.client.close()
    source = opened("notes")
    report = move(source, contex, project.project_id, state=state, keep_vectors=True)
    source.client.close()
    check(contex, project, report, ids)
    document = project.get(ids[5])
    assert document.data == {"text": lines[5]} and document.metadata == {"metadata": {"n": 5}}
    assert project.query("paper", filter={"metadata.metadata.n": 5}, threshold=0).matches[0].data["text"] == lines[5]

    other = contex.project(project.project_id + "-named")
    source = opened("named", vector_name="b")
    report = move(source, contex, other.project_id, keep_vectors=True, prefix="p/")
    assert report.complete and report.without_text == 3 and report.left_out == {"the vector 'a': a document has one": 3}
    assert other.get("p/2").data == {"kind": "no text", "n": 2}
    with pytest.raises(MoveFailed, match="has 3 documents"):
        move(source, contex, other.project_id)
    source.client.close()
    with pytest.raises(SourceFailed, match="there is no collection"):
        opened("none")
    with pytest.raises(SourceFailed, match="meta.json"):
        Qdrant(str(tmp_path), "notes", None, False, None)
