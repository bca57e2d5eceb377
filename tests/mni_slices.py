"""Real pixels without a download: slices of the MNI152 T1 brain template that the nilearn wheel carries.

python tests/mni_slices.py FOLDER     # FOLDER/{axial,coronal,sagittal}_brain_slice/*.png and prompts.json
"""

import json
import sys
from importlib.util import find_spec  # to import nilearn takes seconds
from pathlib import Path

import numpy as np
from PIL import Image

AXES = {"sagittal brain slice": 0, "coronal brain slice": 1, "axial brain slice": 2}
PROMPTS = {
    "sagittal brain slice": [
        "A side view of the head with the corpus callosum arching over the lateral ventricle.",
        "The midline cut shows brainstem, pons and cerebellum hanging below the occipital lobe.",
        "The profile of the brain is longer than high, with the frontal pole before and the occipital pole behind.",
        "Cerebellar folia fan out at the lower back corner of the picture.",
        "The spinal cord leaves the brain through the bottom edge.",
        "One hemisphere alone is seen, so nothing in the picture is symmetric.",
        "The cingulate gyrus follows the curve of the corpus callosum from front to back.",
        "The fourth ventricle lies as a dark triangle between pons and cerebellum.",
        "The temporal lobe projects forward beneath the Sylvian fissure in a lateral cut.",
        "The thalamus and the midbrain sit in the middle, above the brainstem.",
    ],
    "coronal brain slice": [
        "A frontal view with both temporal lobes hanging down on either side.",
        "The two hemispheres are mirror images divided by the falx at the top of the picture.",
        "The lateral ventricles form a dark butterfly beneath the corpus callosum.",
        "Both hippocampi lie at the inner border of the temporal lobes.",
        "The cerebellum appears as a symmetric block under the tentorium in a posterior cut.",
        "The outline is as wide as high, round above and notched by the Sylvian fissures at the sides.",
        "The third ventricle is a thin dark line between the two thalami.",
        "The pons is seen from the front, with the spinal cord below it.",
        "Both eyes of the caudate nuclei flank the frontal horns.",
        "The insular cortex is folded inwards on the left and the right at mid height.",
    ],
    "axial brain slice": [
        "A view from below in which the outline of the head is an egg with the frontal lobe at its narrower end.",
        "The interhemispheric fissure runs from front to back through the whole picture.",
        "Frontal and occipital horns of the ventricles make an X in the centre.",
        "The basal ganglia and the thalami lie symmetrically around the midline.",
        "White matter of the centrum semiovale fills two large bright ovals.",
        "Only cortex and sulci near the vertex are left in a small round cut.",
        "The two cerebellar hemispheres and the temporal poles are cut at the skull base.",
        "The internal capsule draws a bright V on each side.",
        "Left and right are symmetric, front and back are not.",
        "The circle of the midbrain with its peduncles stands in front of the cerebellar vermis.",
    ],
}


def write_slices(root: str | Path, per_class: int = 80) -> Path:
    """Write `per_class` 8-bit slices for each of the three directions, and sentences about them."""
    import nibabel

    root = Path(root)
    (volume_file,) = (Path(find_spec("nilearn").origin).parent / "datasets" / "data").glob("mni_icbm152_t1*.nii.gz")
    volume = np.asarray(nibabel.load(volume_file).dataobj, dtype=np.float32)
    volume = (255 * (volume / volume.max())).clip(0, 255).astype(np.uint8)
    for name, axis in AXES.items():
        folder = root / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        filled = np.flatnonzero((volume > 20).mean(axis=tuple(a for a in range(3) if a != axis)) > 0.08)
        for position in np.linspace(filled[0], filled[-1], per_class).round().astype(int):
            pixels = np.rot90(volume.take(position, axis=axis))
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"slice_{position:03d}.png")
    bank = {"llm": "claude", "dataset": "MNI152 slices", "modality": "T1-weighted MRI", "prompts": PROMPTS}
    (root / "prompts.json").write_text(json.dumps(bank, indent=1))
    return root


if __name__ == "__main__":
    print(write_slices(sys.argv[1]))
