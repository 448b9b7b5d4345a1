"""Rate and distortion of this codec's models, of their float networks and of other codecs, on a folder of images.

    python benchmarks/rate_distortion.py FOLDER --model mse --checkpoint weights/mse.safetensors --peers

Each codec named is measured through real files (a float network by its own estimate of the rate) and takes its place in
benchmarks/results/rate_distortion.json; the other codecs' entries stay. What is there already, from the same versions
and the same model, is kept, so that an interrupted run goes on where it was; `--anew` measures it again. The libraries
needed are those of `pip install '.[bench]'`.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from treenet_fast import TreeNetError, models
from treenet_fast.evaluation.bd_rate import bd_rate
from treenet_fast.evaluation.codecs import PEERS, Heic, ImageCodec, TreeNetCodec
from treenet_fast.evaluation.curve import images_in, ms_ssim_curve, psnr_curve
from treenet_fast.evaluation.float_network import FloatCodec, float_name
from treenet_fast.evaluation.record import Entry, Record

RESULTS = Path(__file__).parent / "results" / "rate_distortion.json"
CURVES = {"PSNR": psnr_curve, "MS-SSIM": ms_ssim_curve}


def chosen_codecs(options: argparse.Namespace) -> list[ImageCodec]:
    return [
        *(TreeNetCodec(models.resolve(name), threads=options.threads) for name in options.model),
        *(FloatCodec(checkpoint) for checkpoint in options.checkpoint),
        *(peer() for peer in PEERS if options.peers),
    ]


def pairs(record: Record) -> list[tuple[Entry, Entry]]:
    """Anchor and tested codec: each model against its own float network, and everything against HEIC."""
    entries = record.entries
    own = [(entries[float_name(name)], entry) for name, entry in entries.items() if float_name(name) in entries]
    heic = entries.get(Heic.name)
    return own + [(heic, entry) for entry in entries.values() if heic and entry is not heic]


def bd_rates(record: Record) -> list[dict[str, object]]:
    """The delta rates of all pairs, on the curves of means; `problem` says why there is none."""
    results = []
    for anchor, test in pairs(record):
        for metric, curve in CURVES.items():
            result: dict[str, object] = {"codec": test.codec, "anchor": anchor.codec, "metric": metric}
            try:
                found = bd_rate(curve(anchor.points()), curve(test.points()))
                result |= {key: round(value, 4) for key, value in dataclasses.asdict(found).items()}
            except TreeNetError as error:
                result["problem"] = str(error)
            results.append(result)
    return results


def measure(options: argparse.Namespace) -> Record:
    paths = images_in(options.folder)
    record = Record.load(options.out) if options.out.exists() else Record([path.name for path in paths])
    for codec in chosen_codecs(options):
        if options.anew:
            record.entries.pop(codec.name, None)
        with tqdm(total=len(codec.qualities) * len(paths), desc=codec.name, unit="image", mininterval=1) as bar:
            record.evaluate(codec, paths, save=lambda: record.save(options.out), progress=bar.update)
    record.extra["bd_rates"] = bd_rates(record)
    record.save(options.out)
    return record


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of lossless images")
    parser.add_argument("--model", nargs="+", default=[], help="a model in the package, or a model file")
    parser.add_argument(
        "--checkpoint", nargs="+", default=[], type=Path, help="float networks; each named as the model made from it"
    )
    parser.add_argument("--peers", action="store_true", help=f"also {', '.join(peer.name for peer in PEERS)}")
    parser.add_argument("--anew", action="store_true", help="keep nothing of an older run of the codecs named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="default: %(default)s")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        record = measure(options)
    except (TreeNetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for entry in record.entries.values():
        print(entry.codec)
        for point in entry.points():
            print(f"  {point.quality:3}: {point.bpp:.4f} bpp  {point.psnr:.3f} dB  MS-SSIM {point.ms_ssim:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
