"""What `doctor` and `inspect` print: findings, and all that a file says of itself, within 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from edgeproof import show

if TYPE_CHECKING:
    from rich.console import Console

    from edgeproof.runtime.doctor import Report
    from edgeproof.runtime.findings import Finding
    from edgeproof.runtime.footprint import Footprint
    from edgeproof.runtime.inspection import GraphFacts, Inspection, TensorFacts
    from edgeproof.runtime.trying import Verdict

WIDTH = 80
COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}
# Constants of an inspection that are shown one by one: the largest.
SHOWN = 5


def document(found: msgspec.Struct) -> None:
    """Print a report as one JSON document."""
    print(msgspec.json.format(msgspec.json.encode(found), indent=1).decode())


def report(found: Report) -> None:
    """Print findings, the worst first, each with its evidence and what to do."""
    print(f"{found.file}, {found.size_bytes / 1e6:.2f} MB")
    if found.findings:
        _findings(found.findings)
    if found.answers:
        low, high = found.answers.top1_interval
        print(f"Top-1 {found.answers.top1:.1%} [{low:.1%} to {high:.1%}] on {found.answers.images} pictures.")
        _wrapped(f"Fed: {found.answers.fed}." + "".join(f" Assumed: {each}." for each in found.answers.assumed))
    if found.ranges:
        _trials(found.ranges)
    if found.unanswered:
        _wrapped(f"The pictures were not tried: {found.unanswered}.")
    counts = ", ".join(_counted(found.count(each), each) for each in ("error", "warning", "note"))
    print(f"{found.rules} rules: {counts}. Each rule is explained in docs/doctor.md.")


def inspection(found: Inspection) -> None:
    """Print the parts of a file: graph, quantisation, metadata, contract, labels and appended files."""
    print(f"{found.file}, {found.size_bytes} bytes")
    rows = [("flatbuffer", f"{found.flatbuffer_bytes} bytes, sha256 {_brief(found.flatbuffer_sha256)}")]
    rows += [("appended", f"{each.name}, {each.size_bytes} bytes") for each in found.appended[:SHOWN]]
    if len(found.appended) > SHOWN:
        rows.append(("", f"and {len(found.appended) - SHOWN} more files"))
    rows += [(f"damaged: {part}", words) for part, words in found.troubles.items()]
    if found.graph:
        rows += _graph_rows(found.graph)
    rows += _footprint_rows(found.footprint)
    if found.labels:
        rows.append(("labels", f"{len(found.labels)}: {', '.join(found.labels[:6])}…"))
    rows += _metadata_rows(found) + _contract_rows(found)
    _table(("", ""), rows)
    if found.graph:
        kinds = [(kind, str(count)) for kind, count in found.graph.kinds.items()]
        show.table(("operators", "times"), kinds)
        largest = sorted(found.graph.tensors, key=lambda each: -each.constant_bytes)[:SHOWN]
        show.table(("largest constants", "type", "shape", "scales", "bytes"), [_constant(each) for each in largest])
        print("All tensors and operators: --json")


def _findings(findings: Sequence[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 1, 0), show_header=False)
    drawn.add_column(no_wrap=True)
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for each in findings:
        words = Text(each.title, "bold")
        words.append(f"\n{each.evidence}\n", "not bold")
        words.append(f"→ {each.remedy}", "not bold")
        drawn.add_row(Text(each.severity, COLOURS[each.severity]), each.rule, words)
    print()
    _console().print(drawn)


def _trials(verdict: Verdict) -> None:
    rows = [(each.feed, f"{each.top1:.1%}", f"{each.log_likelihood:.3f}") for each in verdict.trials]
    show.table((f"input, on {verdict.images} pictures", "top-1", "log-likelihood"), rows)
    _wrapped(verdict.sentence)


def _graph_rows(graph: GraphFacts) -> list[tuple[str, str]]:
    tensors = {each.number: each for each in graph.tensors}
    rows = [("made by", graph.description)] if graph.description else []
    rows += [("input", _ends(tensors[number])) for number in graph.inputs]
    rows += [("output", _ends(tensors[number])) for number in graph.outputs]
    rows.append(("graph", f"{len(graph.operators)} operators, {len(graph.tensors)} tensors, "
                 f"{graph.constant_bytes} bytes of constants"))  # fmt: skip
    layers = graph.arithmetic
    counts = {"float": layers.float_layers, "integer": layers.integer_layers, "hybrid": layers.hybrid_layers}
    rows.append(("layers", ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "none"))
    if layers.per_channel or layers.per_tensor:
        rows.append(("weights", f"{layers.per_channel} per channel, {layers.per_tensor} per tensor"))
    if graph.subgraphs > 1:
        rows.append(("subgraphs", f"{graph.subgraphs}; the first is shown"))
    return rows


def _footprint_rows(found: Footprint) -> list[tuple[str, str]]:
    """What a user of the file pays for it."""
    rows = [("download", f"{found.compressed_bytes} bytes compressed (deflate)")]
    if found.activation_bytes is not None:
        rows.append(("activations", f"{found.activation_bytes} bytes at the least, for one picture"))
    return rows + [("runtime", f"{each.name}, {each.size_bytes} bytes") for each in found.libraries]


def _metadata_rows(found: Inspection) -> list[tuple[str, str]]:
    said = found.metadata
    if said is None:
        return [("metadata", "none")]
    about = (said.name, said.version, said.author and f"by {said.author}", said.license)
    rows = [("metadata", ", ".join(word for word in about if word) or "unnamed")]
    for tensor in said.inputs:
        words = [tensor.content, tensor.colour or "", f"{tensor.size[0]}×{tensor.size[1]}" if tensor.size else ""]
        if tensor.normalisation:
            mean, std = ("/".join(f"{each:g}" for each in values) for values in
                         (tensor.normalisation.mean, tensor.normalisation.std))  # fmt: skip
            words.append(f"mean {mean}, std {std}")
        rows.append((f"  {tensor.name or 'input'}", ", ".join(word for word in words if word)))
    return rows


def _contract_rows(found: Inspection) -> list[tuple[str, str]]:
    contract = found.contract
    if contract is None:
        return [("contract", "none that can be read" if found.troubles else "none: not made by edgeproof")]
    steps = " → ".join(f"{step.height}×{step.width} {step.resample}" for step in contract.preprocessing.steps)
    rows = [("contract", f"{contract.name}, recipe {contract.recipe}"), ("  pictures", f"{steps}, RGB")]
    proof = contract.verification
    if proof:
        rows.append(("  proof", f"top-1 {proof.top1:.2%} on {proof.images} pictures, Keras {proof.reference_top1:.2%}, "
                     f"{proof.same_answers:.2%} the same"))  # fmt: skip
    rows += [(f"  {name}", _brief(value)) for name, value in contract.provenance.items()]
    return rows


def _ends(tensor: TensorFacts) -> str:
    shape = "×".join("?" if side < 0 else str(side) for side in tensor.signature)
    scales = tensor.scales
    steps = f", scale {scales.least_scale:g}, zero point {scales.zero_points[0]}" if scales else ""
    return f"'{tensor.name}' {tensor.dtype} {shape}{steps}"


def _constant(tensor: TensorFacts) -> tuple[str, ...]:
    name = tensor.name if len(tensor.name) <= 30 else f"…{tensor.name[-29:]}"
    scales = str(tensor.scales.count) if tensor.scales else ""
    return name, tensor.dtype, "×".join(map(str, tensor.shape)), scales, str(tensor.constant_bytes)


def _brief(words: str, most: int = 48) -> str:
    """What is too long for a line, by its beginning; --json has all of it."""
    return words if len(words) <= most else f"{words[:16]}…"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(header))
    for name in header:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    _console().print(drawn)


def _wrapped(words: str) -> None:
    _console().print(words)


def _console() -> Console:
    from rich.console import Console

    found = Console(markup=False, highlight=False, emoji=False)
    # Lines of prose wider than this are hard to read.
    found.width = min(found.width, WIDTH)
    return found
