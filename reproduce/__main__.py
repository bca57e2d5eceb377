"""Run the experiments of the paper and draw its tables and figures.

python -m reproduce NAME ...
"""

import importlib
import sys
from collections.abc import Sequence

from dassl.errors import command

NAMES = {
    "ablation": "the six rows of Table 2 on a data set",
    "diagnose": "look into a run of vMFCoOp",
    "figure2": "Figure 2: where methods look in pictures with lesions",
    "figure3": "Figure 3: backbones and LLMs",
    "posterior": "what the posterior is worth, beside what it has to face; docs/POSTERIOR.md",
    "prompts": "the figure of numbers of sentences",
    "results": "Tables 1 to 3 on the phantoms, and docs/RESULTS.md",
    "saliency": "whether saliency maps show the lesions; docs/SALIENCY.md",
    "sensitivity": "what the posterior depends on: text, weight, gap, refinement",
    "sentences": "whether sentences that explain a prediction name what is drawn; docs/EXPLANATION.md",
    "verify": "compare zero-shot BiomedCLIP with the paper's Table 3",
}


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Call the command that the first word names; return 2 if there is none."""
    name, *words = list(sys.argv[1:] if argv is None else argv) or [""]
    if name in NAMES:
        return importlib.import_module(f"reproduce.{name}").main(words)
    stream = sys.stdout if name in ("-h", "--help") else sys.stderr
    print(f"{__doc__}\n" + "\n".join(f"    {each:12}{what}" for each, what in NAMES.items()), file=stream)
    return 0 if stream is sys.stdout else 2


if __name__ == "__main__":
    sys.exit(main())
