"""Sums for servers that run: asked for by name, made once, kept, confined to what may be."""

from superpose.serving.adapter_server import AdapterServer, Served
from superpose.serving.settings import ServerSettings

__all__ = ["AdapterServer", "Served", "ServerSettings"]
