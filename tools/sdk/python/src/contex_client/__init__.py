"""A client of Contex, with an event loop (`AsyncContex`) and without (`Contex`).

    from contex_client import Contex

    with Contex("http://localhost:8001") as contex:
        shop = contex.project("shop")
        shop.publish("tech", {"db": "PostgreSQL"})
        for match in shop.query("which database", threshold=0.2):
            print(match.data_key, match.similarity, match.data)
"""
from ._async import AsyncAgent, AsyncContex, AsyncProject
from ._core import VERSION as __version__
from ._sync import Agent, Contex, Project
from .errors import (
    BadRequestError, ConflictError, ContexError, DamagedError, ForbiddenError, InvalidError, LimitedError, NoAnswerError, NotFoundError,
    ServerFaultError, StorageFullError, TooLargeError, UnauthenticatedError, UnavailableError)
from .models import (
    AgentInfo, AgentName, Answer, APIKey, Difference, Document, Event, Inbox, Match, Node, Packing, Passage, ProjectInfo, PublishItem,
    PublishOutcome, QueryOptions, QueryOutcome, Receipt, RegisterOptions, Registration, Update, Version)

__all__ = [
    "APIKey", "Agent", "AgentInfo", "AgentName", "Answer", "AsyncAgent", "AsyncContex", "AsyncProject", "BadRequestError", "ConflictError", "Contex",
    "ContexError", "DamagedError", "Difference", "Document", "Event", "ForbiddenError", "Inbox", "InvalidError", "LimitedError", "Match",
    "NoAnswerError", "Node", "NotFoundError", "Packing", "Passage", "Project", "ProjectInfo", "PublishItem", "PublishOutcome", "QueryOptions",
    "QueryOutcome", "Receipt", "RegisterOptions", "Registration", "ServerFaultError", "StorageFullError", "TooLargeError", "UnauthenticatedError",
    "UnavailableError", "Update", "Version", "__version__"]
