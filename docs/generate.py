"""Which pages of docs/ are rendered from code, and how: `python docs/generate.py FOLDER` writes them into FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from mesh.call import Side
from mesh.order import ORDER, Slot, Span

STAGES_HEAD = """\
<!-- Rendered from mesh.order.ORDER by docs/generate.py: edit that, then `make docs`. -->

# Stages

The features of the mesh in the order in which a call goes through them, outermost first. A stage whose policy is off is
not in a method's chain and costs nothing. `mesh explain FILE SERVICE/METHOD` prints the chain of one method with its values.

- **scope**: `call` stages see a call once, above retries; what is `between` decides whether there is another attempt;
  `attempt` stages see each attempt.
- **side**: whether clients, servers or both run it.
- **policy**: the field of `mesh.v1.Policy` that configures it.
- **before**: which stages it must come before. The order is checked against these rules when chains are compiled.
"""


def stages() -> str:
    """Render the ORDER table."""
    lines = [
        STAGES_HEAD,
        "| stage | scope | side | policy | before | because |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(slot))} |" for slot in ORDER),
    ]
    return "\n".join(lines) + "\n"


def _cells(slot: Slot) -> tuple[str, ...]:
    side = "both" if slot.sides == set(Side) else next(iter(slot.sides)).value
    span = "between attempts" if slot.span is Span.BETWEEN else slot.span.value
    before = ", ".join(f"`{name}`" for name in slot.before)
    return f"`{slot.name}`", span, side, f"`{slot.section}`", before, slot.because


def main(folder: Path) -> None:
    (folder / "stages.md").write_text(stages(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
