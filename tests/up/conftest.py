"""A tiny environment: real processes that serve grpc.health.v1, and misbehave when told to."""

import textwrap
from pathlib import Path

import pytest

SERVER = '''
"""A service that needs nothing of the mesh: health, and one method that says who answers."""
import asyncio, os, signal, subprocess, sys
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

async def main():
    name = f"{os.environ['MESH_SERVICE']}.{os.environ['MESH_INSTANCE']}"
    with open("events", "a") as events:
        events.write(f"start {name} {os.getpid()}\\n")
    if "fork" in sys.argv:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open("events", "a") as events:
            events.write(f"fork {name} {child.pid}\\n")
    if "crash" in sys.argv:
        print("about to crash", flush=True)
        sys.exit(3)
    if "silent" in sys.argv:
        await asyncio.sleep(600)
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(os.environ["MESH_LISTEN"])
    await server.start()
    print(f"{name} listens on {os.environ['MESH_LISTEN']}", flush=True)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    if "stubborn" not in sys.argv:
        loop.add_signal_handler(signal.SIGTERM, asked.set)
    else:
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
    await asked.wait()
    with open("events", "a") as events:
        events.write(f"stop {name} {os.getpid()}\\n")
    # As mesh.server does: clients that watch its health turn away before it stops.
    await servicer.enter_graceful_shutdown()
    await asyncio.sleep(0.2)
    await server.stop(1)

asyncio.run(main())
'''


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Return what writes a mesh.yaml beside the server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.py").write_text(SERVER)

    def write(text):
        file = tmp_path / "mesh.yaml"
        file.write_text(textwrap.dedent(text))
        return file

    return write


def events():
    """Return what the processes have noted: (what, who, pid)."""
    file = Path("events")
    rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [(what, who, int(pid)) for what, who, pid in rows]


def alive(pid):
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def survivors():
    """Return the processes of the environment that are still there."""
    return [(who, pid) for what, who, pid in events() if what != "stop" and alive(pid)]
