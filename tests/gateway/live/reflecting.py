"""`mesh gateway --backend ADDRESS` with settings of schema updates that its options do not have."""

from __future__ import annotations

import json
import sys

from gateway.load import Source
from gateway.server import serve
from mesh.config.address import Address
from mesh.config.edge import SchemaUpdates
from mesh.config.spec import Gateway as Settings

if __name__ == "__main__":
    updates = SchemaUpdates(**json.loads(sys.argv[2]))
    settings = Settings(listen=Address("127.0.0.1", 0), schema_updates=updates, access_log=False)
    source = Source(backend=sys.argv[1], settings=settings)
    sys.exit(serve(source, announce=lambda text: sys.stderr.write(f"{text}\n")))
