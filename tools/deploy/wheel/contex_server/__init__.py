"""The Contex server as it is, with its embedding model: `contex serve`. The client for programs is another package, contex-client."""
import hashlib
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
BINARY, MODEL = HERE / "bin/contex", HERE / "all-MiniLM-L6-v2"


def model_folder() -> pathlib.Path:
    """The model. The first start writes packed weights beside it, 57 MB; where it may not, into a folder of the user's that points to the model."""
    if os.access(MODEL, os.W_OK) or (MODEL / "model.int8.packed").exists():
        return MODEL
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "contex-server" / hashlib.sha256(str(MODEL).encode()).hexdigest()[:16]
    try:
        for source in (path for path in MODEL.rglob("*") if path.is_file()):
            link = folder / source.relative_to(MODEL)
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(source)
    except OSError:
        return MODEL  # then every start packs them anew, in memory
    return folder


def main() -> None:
    """Becomes the server's process, so that signals and exit codes are its own."""
    os.environ.setdefault("CONTEX_MODEL_DIR", str(model_folder()))
    os.execv(BINARY, ["contex", *sys.argv[1:]])
