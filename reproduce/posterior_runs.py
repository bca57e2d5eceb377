"""The runs that tell what the posterior is worth: its rows, those that it has to face, and how both are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from grid.plan import Grid
from grid.run import run_grid
from report.scores import Grid as Points
from runs.config import configure
from runs.methods import SEEDLESS, trainer_name, with_setting
from runs.run import perform
from runs.spec import PHANTOMS, RunSpec, default_backbone

VIEWS = ("FEATURES.VIEWS", 16)  # a training image has 16 random crops, used in turn: else their encoding takes longest
SUBJECT = "vMFPosterior"


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        name: in the tables.
        trainer: short name of its method.
        options: settings that are not the method's defaults.
        of: short name of the method whose learned prompts it tests; "" for a method that is run itself.
        folder: of its runs, below --output.
        novel: it is run in base to novel, if its method can be.
    """

    name: str
    trainer: str
    options: tuple[tuple[str, Any], ...] = ()
    of: str = ""
    folder: str = ""
    novel: bool = True


def posterior_of(name: str, of: str, folder: str, **settings: Any) -> Row:
    """Return a row that tests the prompts of a method by the posterior, with these settings, which end its name."""
    trainer = "vmfposterior" if of == "vmfcoop" else of
    prefix = f"TRAINER.{trainer_name(trainer).upper()}"
    asked = settings if of == "vmfcoop" else {"INFERENCE": "posterior", **settings}
    options = tuple((f"{prefix}.{key}", value) for key, value in asked.items())
    chosen = settings.get("N_0") == 0.0  # on the base classes, by a run that learns: these tests have no other's n_0
    words = " ".join(f"{prefix}.{key} {value}" for key, value in settings.items())
    return Row(f"{name} ({words})" if words else name, trainer, options, of, folder, novel=not chosen)


METHODS = [
    Row("zero-shot, template", "zeroshot"),
    Row("zero-shot, LLM ensemble", "ensemble"),
    Row("ensemble, distribution normalised", "zeroshot_dn"),
    Row("SS-Text", "ss_text"),
    Row("SS-Text-U (24 more images per class, unlabelled)", "ss_text_u"),
    Row("linear probe", "linear_probe"),
    Row("LP++", "lppp"),
    Row("GDA + text", "gda"),
    Row("KgCoOp, LLM anchors", "kgcoop_llm"),
    Row("PromptSRC, text side", "promptsrc_text"),
    Row("SCD", "scd"),
    Row("BiomedCoOp", "biomedcoop"),
    Row("vMFCoOp", "vmfcoop"),
    Row("vMFPrototypes (no prompt)", "vmfprototypes"),
]
POSTERIORS = [
    posterior_of(SUBJECT, "vmfcoop", ""),
    posterior_of("BiomedCoOp's prompts, posterior", "biomedcoop", "posterior"),
]
VARIANTS = [
    posterior_of("without sentences", "vmfcoop", "rho_0", RHO=0.0),
    posterior_of("without the classes' images", "vmfcoop", "no_images", IMAGES=False),
    posterior_of("not refined", "vmfcoop", "no_refine", REFINE=0.0),
    posterior_of("weight chosen on validation images", "vmfcoop", "n_0", N_0=0.0),
    posterior_of("averaged over the posterior", "vmfcoop", "concentration", CONCENTRATION=True),
]


@dataclass(frozen=True)
class Study:
    """What is measured, and where runs lie."""

    points: Points
    output: Path
    root: str = PHANTOMS
    novel_shots: int = 16
    options: tuple[tuple[str, Any], ...] = ()

    def template(self, row: Row, setting: str = "few_shot") -> RunSpec:
        """Return what all runs of a row have in common."""
        options = (VIEWS, *self.options, *row.options)
        output = str(self.output / row.folder)
        common = RunSpec(root=self.root, backbone=default_backbone(self.root), output=output, setting=setting)
        return replace(common, trainer=trainer_name(row.trainer), options=options)

    def run(self, rows: Sequence[Row]) -> bool:
        """Run what is missing, and return whether all went well."""
        fine, novel = True, with_setting("base2new")
        seeds = [seed for seed in self.points.seeds if seed is not None]
        own = [row for row in rows if not row.of]
        for setting, shots in (("few_shot", self.points.shots), ("base2new", (self.novel_shots,))):
            methods = [row.trainer for row in own if setting == "few_shot" or row.trainer in novel]
            template = replace(self.template(own[0], setting), trainer="")
            once = [method for method in methods if trainer_name(method) in SEEDLESS]
            for some, which in ((once, seeds[:1]), ([m for m in methods if m not in once], seeds)):
                if some:
                    grid = Grid(some, self.points.datasets, shots, which, template)
                    print(f"== {grid}", flush=True)
                    summary = run_grid(grid)
                    print(summary, flush=True)
                    fine &= not summary.failed
        for row in rows:
            if row.of:
                print(f"== {row.name}", flush=True)
                fine &= all(outcome.done for spec in self.tests(row) for outcome in perform(spec))
        return fine

    def tests(self, row: Row) -> Iterator[RunSpec]:
        """Yield the tests of prompts that another row has learned."""
        source = Row("", row.of)
        for dataset in self.points.datasets:
            for seed in self.points.seeds:
                assert seed is not None
                places = [("few_shot", "", k) for k in self.points.shots]
                places += [("base2new", part, self.novel_shots) for part in ("base", "new") if row.novel]
                for setting, part, k in places:
                    learned = replace(self.template(source, setting), dataset=dataset, shots=k)
                    learned = replace(learned, subsample=part and "base")
                    own = replace(self.template(row, setting), dataset=dataset, shots=k, seeds=(seed,), subsample=part)
                    yield replace(own, eval_only=True, model_dir=configure(learned, seed).OUTPUT_DIR)
