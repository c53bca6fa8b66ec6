"""The JSON form of protobuf messages, compiled per message type."""

from gateway.codec.json import Codec, check_required
from gateway.codec.option import Options

__all__ = ["Codec", "Options", "check_required"]
