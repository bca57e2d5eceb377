"""The runs that docs/RESULTS.md is made of: methods, data sets and folders of each table, and their grids."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dassl.names import file_name
from dassl.reading import read_yaml
from grid.plan import Grid
from report import paper
from report.tables.ablation import METHOD
from reproduce.ablation import ROWS
from runs.methods import both_protocols, short_name, trainer_name, with_setting
from runs.spec import PHANTOMS, RunSpec
from tuning.space import SPACE, checked, options

BACKBONE = "PhantomCLIP"


@dataclass(frozen=True)
class Document:
    """The methods, data sets, shots and seeds that the document spans, and its folders.

    Attributes:
        methods: short names.
        datasets: keys of data sets.
        shots: images per class of Table 1.
        ablation_shots: images per class of Table 2, few-shot.
        seeds: of Tables 1 to 3.
        paired_seeds: of the paired comparison of the methods that are tuned.
        output: folder of all runs.
        tuning: folder of the studies.
        configs: folder that has <Trainer>/tuned/<backbone>/<data set>.yaml.
        options: settings of all runs.
    """

    methods: Sequence[str]
    datasets: Sequence[str]
    shots: Sequence[int]
    ablation_shots: Sequence[int]
    seeds: Sequence[int]
    paired_seeds: Sequence[int]
    output: Path
    tuning: Path
    configs: Path
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def default(self) -> Path:
        """The folder of runs with the settings of configs/."""
        return self.output / "default"

    @property
    def tuned(self) -> Path:
        """The folder of runs with settings that were chosen on validation images."""
        return self.output / "tuned"

    @property
    def novel_methods(self) -> list[str]:
        """The methods that can be tested on novel classes."""
        ready = both_protocols(with_setting("base2new"), "base2new")
        return [method for method in self.methods if method in ready]

    @property
    def novel_datasets(self) -> list[str]:
        """The data sets that have novel classes."""
        return [dataset for dataset in self.datasets if dataset not in paper.WITHOUT_NOVEL]

    @property
    def pair(self) -> list[str]:
        """The methods that are tuned."""
        return [method for method in map(short_name, SPACE) if method in self.methods]

    @property
    def tuned_datasets(self) -> list[str]:
        """The data sets that have settings chosen for one of the pair."""
        return [d for d in self.datasets if any(self.tuned_file(method, d).is_file() for method in self.pair)]

    def tuned_file(self, method: str, dataset: str) -> Path:
        """Return the config file of the settings chosen for a method on a data set; it need not exist."""
        folder = self.configs / file_name(trainer_name(method)) / "tuned" / file_name(BACKBONE)
        return folder / f"{file_name(dataset)}.yaml"

    def grids(self) -> Iterator[Grid]:
        """Yield the grids of all runs."""
        yield self._grid(self.default, self.methods)
        if self.pair:
            yield self._grid(self.default, self.pair, seeds=self.paired_seeds)
        if self.novel_datasets and self.novel_methods:
            yield self._novel_grid(self.default, self.novel_methods)
        if short_name(METHOD) in self.methods:
            for row in ROWS:
                if row.options:  # the full method is among the grids above
                    own = [short_name(METHOD)]
                    yield self._grid(self.default, own, shots=self.ablation_shots, more=row.options)
                    if self.novel_datasets:
                        yield self._novel_grid(self.default, own, row.options)
        for method, dataset in itertools.product(self.pair, self.tuned_datasets):
            if (path := self.tuned_file(method, dataset)).exists():
                chosen = tuned_options(path, trainer_name(method))
                yield self._grid(self.tuned, [method], [dataset], seeds=self.paired_seeds, more=chosen)

    def _novel_grid(self, output: Path, methods: Sequence[str], more: tuple[tuple[str, Any], ...] = ()) -> Grid:
        return self._grid(output, methods, self.novel_datasets, [paper.NOVEL_SHOTS], more=more, setting="base2new")

    def _grid(
        self,
        output: Path,
        methods: Sequence[str],
        datasets: Sequence[str] | None = None,
        shots: Sequence[int] | None = None,
        seeds: Sequence[int] | None = None,
        more: tuple[tuple[str, Any], ...] = (),
        setting: str = "few_shot",
    ) -> Grid:
        template = RunSpec(
            root=PHANTOMS, backbone=BACKBONE, setting=setting, output=str(output), options=(*self.options, *more)
        )
        return Grid(methods, datasets or self.datasets, shots or self.shots, seeds or self.seeds, template)


def tuned_options(path: Path, trainer: str) -> tuple[tuple[str, float], ...]:
    """Return the settings of a trainer in a config file, as options of a RunSpec.

    Raises:
        UserError: it holds anything else than numbers of the method's search space.
    """
    found = read_yaml(path)
    for key in ("TRAINER", trainer.upper()):
        found = found[key] if isinstance(found, dict) and list(found) == [key] else None
    return options(trainer, checked(found, SPACE[trainer], str(path), every=False))
