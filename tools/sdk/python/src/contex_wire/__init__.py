"""A client of Contex's binary protocol (docs/protocol.md)."""
from .client import Client, tls_context
from .errors import ConnectionLost, ContexError, ProtocolError
from .messages import (
    Acknowledge, Agent, Agents, DataKey, Embed, EmbedInput, Embeddings, Event, Events, Explanation, FollowEvents, FollowInbox, HeldData,
    HeldNode, Inbox, KeyExplanation, Keys, ListedAgent, Listing, Match, MatchedNeed, Named, Packing, PackingDuplicate, Passage, Project, Projects,
    Publish, PublishBatch, PublishOutcome, Publisher, Query, QueryAnswer, QueryBatch, QueryOutcome, ReadEvents, ReadInbox, Receipt, Register,
    Registration, TryNeeds, Update)
from .sync import SyncClient

__all__ = [
    "Acknowledge", "Agent", "Agents", "Client", "ConnectionLost", "ContexError", "DataKey", "Embed", "EmbedInput", "Embeddings", "Event", "Events",
    "Explanation", "FollowEvents", "FollowInbox", "HeldData", "HeldNode", "Inbox", "KeyExplanation", "Keys", "ListedAgent", "Listing", "Match",
    "MatchedNeed", "Named", "Packing", "PackingDuplicate", "Passage", "Project", "Projects", "ProtocolError", "Publish", "PublishBatch",
    "PublishOutcome", "Publisher", "Query", "QueryAnswer", "QueryBatch", "QueryOutcome", "ReadEvents", "ReadInbox", "Receipt", "Register",
    "Registration", "SyncClient", "TryNeeds", "Update", "tls_context"]
