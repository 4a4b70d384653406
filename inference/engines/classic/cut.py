"""The cheapest cut of a superpixel graph into object and background (Boykov & Jolly, 2001)."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

UNITS = 1000
"""Capacities are whole numbers; this many to 1."""


def minimum_cut(
    evidence: NDArray[np.float64], pairs: NDArray[np.int64], affinity: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of n nodes are object, bool (n,): the labelling that gains the most evidence ((n,),
    positive for object) less the affinity ((m,), ≥ 0) of the pairs (m, 2) that it separates."""
    count = len(evidence)
    source, sink = count, count + 1
    capacity = np.clip(np.abs(evidence) * UNITS, 0, 1e8).astype(np.int32)
    between = np.clip(affinity * UNITS, 1, 1e8).astype(np.int32)
    for_object, against = np.flatnonzero(evidence > 0), np.flatnonzero(evidence < 0)
    first, second = pairs.T
    rows = np.concatenate([first, second, np.full(len(for_object), source), against])
    columns = np.concatenate([second, first, for_object, np.full(len(against), sink)])
    values = np.concatenate([between, between, capacity[for_object], capacity[against]])
    graph = csr_matrix((values, (rows, columns)), shape=(count + 2, count + 2), dtype=np.int32)
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = (left.data > 0).astype(np.int8)
    left.eliminate_zeros()
    reached = np.zeros(count + 2, bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return reached[:count]
