"""What tuning leaves behind: a yaml per data set that train.py reads, a summary, and the table of trials."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from dassl.utils import write_json
from report.__main__ import write
from report.methods import folder_name
from report.tables import GAP, render
from tuning.study import Settings, Study


@dataclass(frozen=True)
class Chosen:
    """The settings of each data set, what they score on validation images, and what the default settings score there.

    `default` is None where default settings led to no result.
    """

    settings: Mapping[str, Settings]
    accuracy: float
    default: float | None


def choose(study: Study, defaults: Mapping[str, Settings]) -> Chosen:
    """The best trial's settings for all data sets; each one's own default settings where these score more together."""
    best, found = study.best(), {}
    for dataset, settings in defaults.items():
        tried = [trial for trial in study.trials() if trial.user_attrs.get("settings") == settings]
        if tried:
            found[dataset] = tried[0].user_attrs["accuracy"][dataset]
    default = fmean(found.values()) if len(found) == len(defaults) else None
    if default is not None and default > best.value:
        return Chosen(defaults, default, default)
    return Chosen(dict.fromkeys(defaults, best.user_attrs["settings"]), best.value, default)


def keep(study: Study, chosen: Chosen, to: Path) -> list[Path]:
    """Write `<trainer>/tuned/<backbone>/<dataset>.yaml` below `to`, and summary and trials beside the study.

    Returns:
        The files, the config files first.
    """
    about = study.search.about
    summary = {
        "trainer": about["trainer"],
        "backbone": about["backbone"],
        "phantom": about["phantom"],
        "shots": about["shots"],
        "seeds": about["seeds"],
        "validation": about["validation"],
        "images": study.best().user_attrs["images"],
        "with": about["settings"],
        "trials": len(study.trials()),
        "study": study.file.name,
        "date": datetime.date.today().isoformat(),
        "default": chosen.default,
        "accuracy": chosen.accuracy,
        "settings": dict(chosen.settings),
    }
    folder, files = to / about["trainer"] / "tuned" / folder_name(about["backbone"]), []
    for dataset, settings in chosen.settings.items():
        files.append(folder / f"{dataset}.yaml")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        write(files[-1], yaml_text(about["trainer"], settings, origin(summary, dataset)))
    files += [study.file.with_suffix(suffix) for suffix in (".json", ".csv")]
    write_json(summary, files[-2])
    write(files[-1], render(*trials_table(study), "csv") + "\n")
    return files


def yaml_text(trainer: str, settings: Settings, about: Sequence[str]) -> str:
    """A config file of settings below lines that say where they come from."""
    lines = [*(f"# {line}" for line in about), "TRAINER:", f"  {trainer.upper()}:"]
    return "\n".join([*lines, *(f"    {name}: {value!r}" for name, value in settings.items())]) + "\n"


def origin(summary: dict, dataset: str) -> list[str]:
    """Where the settings of a data set come from, in lines of words."""
    shots, seeds = (" ".join(map(str, summary[name])) for name in ("shots", "seeds"))
    others = [name for name in summary["settings"] if name != dataset]
    images = f"{summary['images'][dataset]} validation images ({summary['validation']} split)"
    lines = [
        f"{summary['trainer']} on {dataset}{' (phantom)' * summary['phantom']}, K = {shots}, {summary['backbone']}: "
        "chosen by python -m tuning",
        f"{summary['date']}, study {summary['study']}: {summary['trials']} trials, seeds {seeds}, {images}",
        f"validation accuracy {summary['accuracy']:.2f} %, of the default settings {percent(summary['default'])}",
    ]
    lines += [f"chosen together with {', '.join(others)}, as the mean of all"] if others else []
    lines += [f"with {' '.join(summary['with'])}: train with the same"] if summary["with"] else []
    return lines


def percent(value: float | None) -> str:
    return GAP if value is None else f"{value:.2f} %"


def trials_table(study: Study) -> tuple[list[str], list[list[str]]]:
    """Headers and rows, a trial each; one that failed has its reason in place of figures."""
    names, rows = list(study.search.space), []
    for trial in study.trials():
        about = trial.user_attrs
        settings = about.get("settings", trial.params)
        figures = [GAP, GAP, GAP, about.get("error", "")]
        if trial.value is not None:
            figures[:3] = f"{trial.value:.2f}", f"{about['log_likelihood']:.4f}", f"{about['seconds']:.1f}"
        rows.append([str(trial.number + 1), *(f"{settings[name]:.3g}" for name in names), *figures])
    return ["trial", *names, "validation accuracy (%)", "log-likelihood", "seconds", "failed"], rows
