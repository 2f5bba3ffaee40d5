"""Stage `evaluate@row`: reconstruction errors, cost and probes of a trained row or a baseline, into results/<row>."""

import csv
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import matplotlib.image
import numpy as np
import torch
from torch import Tensor

from latentlab import checkpoint, data, devices, layout, models, stages
from latentlab.evaluation.complexity import num_macs, num_parameters
from latentlab.evaluation.probes import confusion, svm_linear_predictions, svm_rbf_predictions
from latentlab.evaluation.reconstruction import (
    apply,
    first_of_each_digit,
    mse_per_digit,
    reconstruction_errors,
)
from latentlab.stages import log
from latentlab.tracking import store
from latentlab.tracking.runs import log_row


def main(name: str) -> None:
    """Evaluates the row of that name."""
    study = stages.read_params()
    description = checkpoint.load_description(layout.checkpoint(name))
    row = study.row(name)
    device = devices.resolve(study.device)
    devices.make_deterministic()
    model = models.build(row, study.seed).eval()
    checkpoint.load_weights(model, layout.checkpoint(name))
    mnist = data.load(layout.DATA, study.split)
    code_shape = models.code_shape(row)
    metrics = {key: description[key] for key in ("recipe", "seed", "device", "fingerprint")}
    metrics |= cost(code_shape.numel())
    metrics["num_parameters"] = num_parameters(model)
    metrics["num_macs"] = num_macs(model, torch.zeros(1, 1, row.input_size, row.input_size))
    model.to(device)

    def encode(images: Tensor) -> Tensor:
        return apply(model.encode, data.degrade(images, row.input_size), device)

    def decode(codes: Tensor) -> Tensor:
        return apply(model.decode, codes, device)

    outputs = evaluate(name, mnist, metrics, encode, decode)
    chosen = first_of_each_digit(mnist.test.digits)
    write_reconstructions(name, mnist.test.images[chosen], outputs[chosen])
    log_row(store.open_store(layout.project_root()), log.outputs(study, name))


def cost(code_size: int) -> dict[str, float]:
    """How small the code is: `latent_dim`, numbers in the code, and `compression_ratio`, pixels per number."""
    return {"latent_dim": code_size, "compression_ratio": 784 / code_size}


def evaluate(
    name: str,
    mnist: data.MNIST,
    metrics: dict[str, Any],
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
) -> Tensor:
    """Writes metrics and confusion counts of anything that encodes and decodes images.

    Args:
        name: The row or baseline.
        mnist: The three parts; the probes learn from training and validation images together.
        metrics: What is known already; the rest is added.
        encode: Images (N, 1, 28, 28) to codes (N, ...).
        decode: Codes to images.

    Returns:
        The reconstructions of the test images.
    """
    layout.metrics(name).parent.mkdir(parents=True, exist_ok=True)
    test_codes = encode(mnist.test.images)
    test_outputs = decode(test_codes)
    validation_outputs = decode(encode(mnist.validation.images))
    for part, outputs, targets in (
        ("test", test_outputs, mnist.test.images),
        ("validation", validation_outputs, mnist.validation.images),
    ):
        metrics |= {f"{part}_{key}": value for key, value in reconstruction_errors(outputs, targets).items()}
    metrics["mse_per_digit"] = mse_per_digit(test_outputs, mnist.test.images, mnist.test.digits)
    probe(name, mnist, metrics, encode, test_codes)
    layout.metrics(name).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return test_outputs


def probe(
    name: str,
    mnist: data.MNIST,
    metrics: dict[str, Any],
    encode: Callable[[Tensor], Tensor],
    test_codes: Tensor,
) -> None:
    """Adds the accuracies of the probes to the metrics, and writes the confusion counts of the RBF probe."""
    training_images = mnist.training_images()
    train_codes = encode(training_images.images).flatten(1).numpy()
    train_digits, test_digits = training_images.digits.numpy(), mnist.test.digits.numpy()
    arguments = (train_codes, train_digits, test_codes.flatten(1).numpy())
    # both machines are single-threaded and release the interpreter's lock
    with ThreadPoolExecutor(2) as pool:
        linear = pool.submit(svm_linear_predictions, *arguments)
        rbf = pool.submit(svm_rbf_predictions, *arguments)
    metrics["svm_rbf_accuracy"] = float((rbf.result() == test_digits).mean())
    metrics["svm_linear_accuracy"] = float((linear.result() == test_digits).mean())
    with layout.confusion(name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["actual", "predicted", "count"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(confusion(test_digits, rbf.result()))


def write_reconstructions(name: str, originals: Tensor, outputs: Tensor) -> None:
    """Writes one image of each digit above its reconstruction, as bytes for figures and as a picture for people."""
    both = torch.stack([originals, outputs.clamp(0, 1)]).squeeze(2).mul(255).round().byte().numpy()  # (2, 10, 28, 28)
    np.save(layout.reconstructions(name), both)
    framed = np.pad(both, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=128)  # (2, 10, 30, 30)
    grid = framed.transpose(0, 2, 1, 3).reshape(60, -1)
    enlarged = grid.repeat(3, axis=0).repeat(3, axis=1)
    matplotlib.image.imsave(layout.picture(name), enlarged, cmap="gray", vmin=0, vmax=255)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
