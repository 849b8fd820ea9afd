"""Moves collections of other stores into Contex: `contex-move --help`, or `move(source, contex, project)`."""
from .moving import MoveFailed, Report, State, move
from .sources import Chroma, Lines, Qdrant, Record, Source, SourceFailed

__all__ = ["Chroma", "Lines", "MoveFailed", "Qdrant", "Record", "Report", "Source", "SourceFailed", "State", "move"]
