"""Tables of runs: few-shot, ablation, values of a setting, classes, a comparison of methods, one method's data sets."""
