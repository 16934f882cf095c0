"""Hyperband: synchronous successive halving in brackets."""

import math
from collections.abc import Iterator, Sequence

from tune_at.config.scheduler import HyperBand
from tune_at.config.search import Sampled
from tune_at.study import Study
from tune_at.tuning.board import Board, Entry
from tune_at.tuning.policies.base import Together, Verdict


class HyperBandPolicy(Together):
    """Hyperband (Li et al., 2018). Trials fill brackets in order, the most aggressive bracket first.

    Bracket s has n = ceil((S + 1) / (s + 1) * eta^s) trials and its first rung at R / eta^s, where R is the longest
    trial and S = floor(log_eta R); at each rung ceil(n / eta) go on, as in Ray's. After the last bracket the first
    comes again. A bracket that the sweep cannot fill is halved by what it has.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        config = study.scheduler
        assert isinstance(config, HyperBand)
        self.eta = config.eta
        self.most = int(round(math.log(self.longest) / math.log(self.eta), 5))
        search = study.search
        ends = (*search.extended, search.trials) if isinstance(search, Sampled) else (study.size,)
        per_point = len(study.seeds) if isinstance(search, Sampled) else 1
        self.spans = list(self._spans([end * per_point for end in ends]))

    def _spans(self, ends: Sequence[int]) -> Iterator[tuple[int, range]]:
        """The (s, places) of each bracket. A search that was extended starts a new one: the last was halved already."""
        place, halvings = 0, self.most
        for end in ends:
            while place < end:
                size = math.ceil((self.most + 1) / (halvings + 1) * self.eta**halvings)
                yield halvings, range(place, min(end, place + size))
                place = min(end, place + size)
                halvings = halvings - 1 if halvings else self.most

    def groups(self, board: Board) -> Iterator[tuple[int, range]]:
        """The brackets, numbered in the order in which they are filled."""
        yield from ((number, places) for number, (_, places) in enumerate(self.spans))

    def rungs(self, entry: Entry) -> Sequence[int]:
        """R / eta^s, R / eta^(s-1), ..., below R."""
        halvings = next(s for s, places in self.spans if entry.index in places)
        return [max(1, int(self.longest / self.eta**k)) for k in range(halvings, 0, -1)]

    def judge_group(
        self, bracket: int, members: Sequence[Entry], arrived: Sequence[tuple[Entry, int]]
    ) -> list[Verdict]:
        """Keep the best ceil(n / eta); of equal ones those that started earlier."""
        entry, epoch = arrived[0]
        rung = self.reached(entry)[epoch]
        halvings = 1 + list(self.rungs(entry)).index(rung)
        keep = len(members)
        for _ in range(halvings):
            keep = math.ceil(keep / self.eta)
        ranked = sorted(arrived, key=lambda item: (-self.score(*item), item[0].index))
        cutoff = self.score(*ranked[min(keep, len(ranked)) - 1])
        return [
            self.verdict(m, e, self.score(m, e), place >= keep, cutoff, bracket) for place, (m, e) in enumerate(ranked)
        ]
