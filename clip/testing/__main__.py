"""Command line of `clip.testing`."""

import argparse

from clip import testing

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m clip.testing", description="Write a model with random weights.")
    parser.add_argument("folder", nargs="?", help="is made")
    parser.add_argument("name", nargs="?", default="BiomedCLIP", choices=sorted(testing.writers()))
    parser.add_argument("--small", action="store_true", help="few and narrow layers")
    parser.add_argument("--cache", metavar="HF_HOME", help="write BiomedCLIP into this hub cache instead")
    args = parser.parse_args()
    if bool(args.cache) == bool(args.folder):
        parser.error("give a folder, or --cache")
    if args.cache:
        print(f"HF_HOME={testing.write_hub_cache(args.cache)}")
    else:
        print(f"local-dir:{testing.write_model(args.name, args.folder, args.small)}")
