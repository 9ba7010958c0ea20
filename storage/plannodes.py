"""What the engine's printed logical plans say, by the node name at the head of each line."""

_STEADY = frozenset({"Projection", "TableScan", "SubqueryAlias", "Limit", "Union"})


def node_names(display: str) -> frozenset[str]:
    """Return the names of a plan's nodes, given the plan as DataFusion indents it.

    Text of the statement can occur inside a line, and a line break in a literal makes a further
    one: the answer may hold names that are no nodes, and never lacks one that is.
    """
    return frozenset(line.strip().partition(":")[0] for line in display.splitlines())


def is_steady(nodes: frozenset[str]) -> bool:
    """Whether a plan of these nodes yields a batch for every batch that it reads.

    Such a plan never works for long between two batches.
    """
    return nodes <= _STEADY and "TableScan" in nodes


def multiplies_rows(nodes: frozenset[str]) -> bool:
    """Whether a plan of these nodes can make very many rows of two batches that it reads."""
    return "Unnest" in nodes or any(node.endswith(" Join") for node in nodes)
