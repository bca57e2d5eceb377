"""Write the results of a study beside it: a yaml per data set that train.py reads, a summary, and the trials."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import yaml

from dassl.console import printable
from dassl.names import file_name
from dassl.writing import atomic_write, write_json
from report.render import GAP, render
from tuning.study import Settings, Study


@dataclass(frozen=True)
class Chosen:
    """The chosen settings.

    Attributes:
        settings: of each data set.
        accuracy: on validation images, in percent.
        default: that of the default settings; None if these led to no result.
    """

    settings: Mapping[str, Settings]
    accuracy: float
    default: float | None


def choose_settings(study: Study, defaults: Mapping[str, Settings]) -> Chosen:
    """Return the best trial's settings for all data sets, or each one's defaults if these score more together."""
    best, found = study.best(), {}
    for dataset, settings in defaults.items():
        tried = [trial for trial in study.succeeded() if study.about(trial).settings == settings]
        if tried:
            found[dataset] = study.about(tried[0]).accuracy[dataset]
    default = fmean(found.values()) if len(found) == len(defaults) else None
    if default is not None and default > best.value:
        return Chosen(defaults, default, default)
    return Chosen(dict.fromkeys(defaults, study.about(best).settings), best.value, default)


def write_outcome(study: Study, chosen: Chosen) -> tuple[dict[str, Path], list[Path]]:
    """Write the settings, a summary and the trials beside the study, under its name.

    The settings of one data set are `<study>.yaml`, those of several `<study>_<data set>.yaml`.

    Returns:
        The file of each data set's settings, and the files of summary and trials.
    """
    about = study.search.about
    summary = {
        "trainer": about["trainer"],
        "backbone": about["backbone"],
        "phantom": about["phantom"],
        "shots": about["shots"],
        "seeds": about["seeds"],
        "validation": about["validation"],
        "images": study.about(study.best()).images,
        "with": about["settings"],
        "trials": len(study.trials()),
        "study": study.file.name,
        "date": datetime.date.today().isoformat(),
        "default": chosen.default,
        "accuracy": chosen.accuracy,
        "settings": dict(chosen.settings),
    }
    files = {}
    for dataset, settings in chosen.settings.items():
        suffix = f"_{dataset}" if len(chosen.settings) > 1 else ""
        files[dataset] = study.file.with_name(file_name(f"{study.file.stem}{suffix}.yaml"))
        with atomic_write(files[dataset], within=study.within) as file:
            file.write(yaml_text(about["trainer"], settings, origin(summary, dataset)))
    others = [study.file.with_suffix(suffix) for suffix in (".json", ".csv")]
    write_json(summary, others[0], within=study.within)
    with atomic_write(others[1], within=study.within) as file:
        file.write(render(*trials_table(study), "csv") + "\n")
    return files, others


def yaml_text(trainer: str, settings: Settings, about: Sequence[str]) -> str:
    """Return a config file of settings, below comments that say where they come from."""
    lines = "".join(f"# {printable(line)}\n" for line in about)
    return lines + yaml.safe_dump({"TRAINER": {trainer.upper(): dict(settings)}}, sort_keys=False)


def origin(summary: dict, dataset: str) -> list[str]:
    """Return lines that say where the settings of a data set come from."""
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
    """Return headers, and a row for each trial; one that failed has its reason in the place of figures."""
    names, rows = list(study.search.space), []
    for trial in study.trials():
        settings, figures = study.params(trial), [GAP, GAP, GAP, study.error(trial)]
        if trial.value is not None:
            about = study.about(trial)
            settings = about.settings
            figures[:3] = f"{trial.value:.2f}", f"{about.log_likelihood:.4f}", f"{about.seconds:.1f}"
        rows.append([str(trial.number + 1), *(f"{settings[name]:.3g}" for name in names), *figures])
    return ["trial", *names, "validation accuracy (%)", "log-likelihood", "seconds", "failed"], rows
