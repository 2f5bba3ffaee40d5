"""The reference: a loop written plainly, the way the five sources write theirs.

Data set, loader, memory format, losses, optimiser and threads are torch's own, and each step asks for its loss. Of ours it
has the plain layers of a family, without those that `latentlab.models.accelerate` puts in their place.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from benchmarks.training import Job, Records, project_here
from latentlab import models, paths
from latentlab.data.images import stratified_split
from latentlab.errors import UserError
from latentlab.models import Autoencoder
from latentlab.params.recipes import Adam, Plateau
from latentlab.params.variants import Variant
from latentlab.training import devices


def theirs(job: Job) -> Records:
    """What `benchmarks.training.ours` gives, of the reference.

    Raises:
        UserError: The variant takes other inputs than the images as they are.
    """
    variant, training, device = job.variant, job.training, devices.resolve(job.device)
    if variant.input_noise or variant.downsampling > 1:
        raise UserError(f"variant {job.name}: the reference loop knows neither noise nor small images")
    torch.manual_seed(job.seed)
    assert isinstance(training.optimizer, Adam)
    model = models.family(variant.family)(job.data.shape, **variant.architecture).to(device)
    optimizer = torch.optim.Adam(model.parameters(), training.optimizer.lr, weight_decay=training.optimizer.weight_decay)
    schedule, scheduler = training.schedule, None
    if isinstance(schedule, Plateau):
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=schedule.factor, patience=schedule.patience, threshold=schedule.threshold
        )
    chosen = training_set(job.dataset)
    loader = DataLoader(Subset(chosen, range(len(chosen))[: job.num_images]), training.batch_size, shuffle=True)
    validation = job.data.validation.images.to(device)
    records: Records = []
    for _ in range(training.epochs):
        started = time.perf_counter()
        train_loss = train_epoch(model, variant, loader, optimizer, device)  # which waits for a GPU
        seconds = time.perf_counter() - started
        found = validate(model, variant, validation)
        records.append({"seconds": seconds, "validation_loss": found["loss"], "validation_mse": found["mse"]})
        if scheduler is not None:
            watched = {"train_loss": train_loss, "validation_loss": found["loss"]}
            scheduler.step(watched[schedule.monitor])
    return records


def training_set(dataset: str) -> Subset[Any]:
    """Our training images as torchvision gives them."""
    split = project_here().datasets[dataset].split
    with TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in paths.data(dataset).resolve().iterdir():
            (raw / file.name).symlink_to(file)
        whole = torchvision.datasets.MNIST(root, train=True, transform=torchvision.transforms.ToTensor())
    chosen, _ = stratified_split(whole.targets.numpy(), len(whole.targets), [split.train, split.validation], split.seed)
    return Subset(whole, chosen.tolist())


def loss_of(model: Autoencoder, variant: Variant, images: Tensor) -> tuple[Tensor, Tensor]:
    """What is minimised, and the reconstructions."""
    posterior = model.posterior(images)
    if posterior is None:
        reconstructions = model(images)
        criterion = F.binary_cross_entropy if variant.architecture["loss"] == "bce" else F.mse_loss
        return criterion(reconstructions, images), reconstructions
    mean, log_variance = posterior
    reconstructions = model.decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean))
    bce = F.binary_cross_entropy(reconstructions, images, reduction="sum")
    kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (bce + variant.architecture["beta"] * kl) / len(images), reconstructions


def train_epoch(
    model: Autoencoder,
    variant: Variant,
    loader: DataLoader[Any],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> float:
    """One epoch; the mean loss over its images."""
    model.train()
    running_loss, num_images = 0.0, 0
    for images, _ in loader:
        images = images.to(device)
        optimizer.zero_grad()
        loss, _ = loss_of(model, variant, images)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(images)
        num_images += len(images)
    return running_loss / num_images


@torch.no_grad()
def validate(model: Autoencoder, variant: Variant, images: Tensor) -> dict[str, float]:
    """Mean "loss" over images, and "mse" per pixel of the reconstructions."""
    model.eval()
    sums = {"loss": 0.0, "mse": 0.0}
    for batch in images.split(1000):
        loss, reconstructions = loss_of(model, variant, batch)
        sums["loss"] += loss.item() * len(batch)
        sums["mse"] += F.mse_loss(reconstructions, batch).item() * len(batch)
    return {key: total / len(images) for key, total in sums.items()}
