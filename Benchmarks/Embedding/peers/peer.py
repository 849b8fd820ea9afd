"""The peers behind a pipe: reads a JSON command a line, answers with a JSON line.

    {"engine": "onnxruntime-float32", "threads": 1, "texts": [...], "repeat": 20}   -> {"seconds": [...], "processor": [...]}, a repetition each
    {"engine": "onnxruntime-float32", "threads": 2, "documents": [...]}             -> {"seconds": [...], "processor": [...], "batch": 16}
    {"sgemm": [rows, outputs, depth]}                                               -> {"gflops": 100.0}, numpy's OpenBLAS, one thread
    {"vectors": [...], "engine": ...}                                               -> {"vectors": [[...]]}

peer.py load ENGINE MODEL VENV TEXT measures one start instead: seconds to the first vector and what it made resident.
"""
import json
import os
import sys
import time

TOKENS_MAX = 256


def resident():
    """statm is rounded by the kernel; this is counted."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))


class OnnxRuntime:
    def __init__(self, model, onnx, threads):
        import numpy
        import onnxruntime
        from tokenizers.implementations import BertWordPieceTokenizer

        self.numpy = numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        self.tokenizer = BertWordPieceTokenizer(os.path.join(model, "vocab.txt"), lowercase=True)
        self.tokenizer.enable_truncation(TOKENS_MAX)

    def run(self, texts):
        """As a user would: tokens, padded to the longest, one call."""
        numpy = self.numpy
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)] if len(texts) > 1 else [self.tokenizer.encode(texts[0]).ids]
        longest = max(map(len, tokens))
        ids = numpy.zeros((len(tokens), longest), numpy.int32)
        mask = numpy.zeros((len(tokens), longest), numpy.int32)
        for row, line in enumerate(tokens):
            ids[row, :len(line)] = line
            mask[row, :len(line)] = 1
        return self.session.run(None, {"input_ids": ids, "types": numpy.zeros_like(ids), "mask": mask})[0]

    def documents(self, texts, batch):
        """Sorted by length, so that padding costs little, as sentence-transformers does."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), batch):
            self.run([texts[index] for index in order[start:start + batch]])


class SentenceTransformers:
    def __init__(self, model, threads):
        import torch
        from sentence_transformers import SentenceTransformer, models

        torch.set_num_threads(threads)
        transformer = models.Transformer(model, max_seq_length=TOKENS_MAX)
        pooling = models.Pooling(transformer.get_word_embedding_dimension(), pooling_mode="mean")
        self.model = SentenceTransformer(modules=[transformer, pooling, models.Normalize()], device="cpu")

    def run(self, texts):
        return self.model.encode(texts, batch_size=len(texts), show_progress_bar=False)

    def documents(self, texts, batch):
        self.model.encode(texts, batch_size=batch, show_progress_bar=False)


def make(engine, model, venv, threads):
    if engine == "onnxruntime-float32":
        return OnnxRuntime(model, os.path.join(venv, "onnx", "model.onnx"), threads)
    if engine == "onnxruntime-int8":
        return OnnxRuntime(model, os.path.join(venv, "onnx", "model-int8.onnx"), threads)
    if engine == "sentence-transformers":
        return SentenceTransformers(model, threads)
    raise SystemExit(f"no engine {engine}")


def sgemm(rows, outputs, depth):
    import numpy
    import threadpoolctl

    with threadpoolctl.threadpool_limits(1):
        a = numpy.random.rand(rows, depth).astype(numpy.float32)
        b = numpy.random.rand(depth, outputs).astype(numpy.float32)
        best = 1e9
        for _ in range(20):
            start = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - start)
    return 2e-9 * rows * outputs * depth / best


def serve(model, venv):
    engines, best = {}, {}
    for line in sys.stdin:
        command = json.loads(line)
        if "sgemm" in command:
            print(json.dumps({"gflops": sgemm(*command["sgemm"])}), flush=True)
            continue
        key = (command["engine"], command["threads"])
        if key not in engines:
            engines[key] = make(command["engine"], model, venv, command["threads"])
        engine = engines[key]
        if "vectors" in command:
            print(json.dumps({"vectors": [[float(x) for x in engine.run([text])[0]] for text in command["vectors"]]}), flush=True)
            continue
        seconds = []
        if "documents" in command:
            texts = command["documents"]
            if key not in best:  # the batch size that does a fifth of the first documents fastest
                sizes = {}
                for batch in (1, 8, 16, 32):
                    start = time.perf_counter()
                    engine.documents(texts[::5], batch)
                    sizes[batch] = time.perf_counter() - start
                best[key] = min(sizes, key=sizes.get)
            start, started = time.perf_counter(), time.process_time()
            engine.documents(texts, best[key])
            processor = time.process_time() - started
            seconds.append(time.perf_counter() - start)
            print(json.dumps({"seconds": seconds, "processor": [processor], "batch": best[key]}), flush=True)
            continue
        processor = []
        for _ in range(command["repeat"]):
            start, started = time.perf_counter(), time.process_time()
            engine.run(command["texts"])
            processor.append(time.process_time() - started)
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)


def load(engine, model, venv, text):
    if engine == "sentence-transformers":
        import sentence_transformers, torch  # noqa: E401,F401  the libraries are not the model
    else:
        import numpy, onnxruntime, tokenizers  # noqa: E401,F401
    before, start = resident(), time.perf_counter()
    made = make(engine, model, venv, 1)
    made.run([text])
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": [seconds], "resident": resident() - before}))
    del made


if __name__ == "__main__":
    if sys.argv[1] == "load":
        load(*sys.argv[2:])
    else:
        serve(*sys.argv[1:])
