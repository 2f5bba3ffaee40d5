"""The reference: layers, data and loop written plainly, the way the five sources write theirs.

It shares no code with `latentlab`, so that it stays what it is when ours gets faster. torch's defaults throughout: memory
format, allocator, Adam, threads; and `loss.item()` in each step.

Legend: B batch.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader

from latentlab.errors import UserError
from latentlab.params import Row

Criterion = Callable[[Any, Tensor], Tensor]
Architecture = dict[str, Any]


class Plain(nn.Module):
    """Encoder, then decoder."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        """Reconstructions, (B, 1, 28, 28) in [0, 1]."""
        reconstructions: Tensor = self.decoder(self.encoder(x))
        return reconstructions


class Variational(nn.Module):
    """Source C's VAE."""

    def __init__(self, trunk: nn.Module, hidden_dim: int, latent_dim: int, decoder: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.log_var = nn.Linear(hidden_dim, latent_dim)
        self.decoder = decoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstructions, (B, 1, 28, 28) in [0, 1], of one sample of the code; mean and log-variance of the code."""
        hidden = self.trunk(x)
        mu, log_var = self.mu(hidden), self.log_var(hidden)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        return self.decoder(z), mu, log_var


def strided_cae(row: Architecture) -> nn.Module:
    """Source A."""
    channels, kernels, slope = row["channels"], row["kernel_sizes"], row["negative_slope"]

    def between(features: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(features)] if row["batch_norm"] else []
        return [*norm, nn.LeakyReLU(slope) if slope else nn.ReLU()]

    sizes = [28, 14, 7, 4, 2][: len(channels) + 1]
    down: list[nn.Module] = []
    for i, features in enumerate(channels):
        down += [nn.Conv2d(channels[i - 1] if i else 1, features, kernels[i], stride=2, padding=1), *between(features)]
    flat = channels[-1] * sizes[-1] ** 2
    up: list[nn.Module] = [nn.Linear(row["latent_dim"], flat), nn.Unflatten(1, (channels[-1], sizes[-1], sizes[-1]))]
    for i in reversed(range(len(channels))):
        kernel = sizes[i] - 2 * sizes[i + 1] + 4
        up.append(nn.ConvTranspose2d(channels[i], channels[i - 1] if i else 1, kernel, stride=2, padding=1))
        up += between(channels[i - 1]) if i else [nn.Sigmoid()]
    return Plain(nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, row["latent_dim"])), nn.Sequential(*up))


def mlp(row: Architecture) -> nn.Module:
    """Sources B and E."""
    sizes = [784, *row["widths"], row["latent_dim"]]
    encoder: list[nn.Module] = [nn.Flatten()]
    for i in range(len(sizes) - 1):
        encoder += [nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU()]
    if row["code_activation"] == "none":
        encoder.pop()
    decoder: list[nn.Module] = []
    for i in range(len(sizes) - 1, 0, -1):
        decoder += [nn.Linear(sizes[i], sizes[i - 1]), nn.ReLU() if i > 1 else nn.Sigmoid()]
    model = Plain(nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Unflatten(1, (1, 28, 28))))
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and row["weight_init"] == "xavier_uniform":
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, row["bias_init"])
    return model


def conv_vae(row: Architecture) -> nn.Module:
    """Source C, the VAE."""
    first, second = row["channels"]
    trunk = nn.Sequential(
        nn.Conv2d(1, first, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(7 * 7 * second, row["hidden_dim"]), nn.ReLU(),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(row["latent_dim"], 7 * 7 * second), nn.ReLU(), nn.Unflatten(1, (second, 7, 7)),
        nn.ConvTranspose2d(second, second, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.ConvTranspose2d(second, first, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
        nn.Conv2d(first, 1, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip
    return Variational(trunk, row["hidden_dim"], row["latent_dim"], decoder)


def pooled_cae(row: Architecture) -> nn.Module:
    """Source C's autoencoder, and source D."""
    first, second = row["channels"]
    encoder = nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip
    up: list[nn.Module] = [nn.Conv2d(second, second, 3, padding=1), nn.ReLU()] if row["code_conv"] else []
    for features_in, features_out in ((second, first), (first, 1)):
        if row["upsampling"] == "transposed":
            up.append(nn.ConvTranspose2d(features_in, features_out, 2, stride=2))
        else:
            up += [nn.Upsample(scale_factor=2, mode=row["upsampling"]), nn.Conv2d(features_in, features_out, 3, padding=1)]
        up.append(nn.ReLU())
    return Plain(encoder, nn.Sequential(*up[:-1], nn.Sigmoid()))


def conv_bn_ae(row: Architecture) -> nn.Module:
    """Source E, convolutions with batch normalisation."""
    first, second, third = row["channels"]
    encoder = nn.Sequential(
        nn.Conv2d(1, first, 3, stride=2, padding=1), nn.BatchNorm2d(first), nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1), nn.BatchNorm2d(second), nn.ReLU(),
        nn.Conv2d(second, third, 3, padding=1), nn.BatchNorm2d(third), nn.ReLU(),
        nn.Flatten(), nn.Linear(7 * 7 * third, row["latent_dim"]),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(row["latent_dim"], 7 * 7 * third), nn.Unflatten(1, (third, 7, 7)),
        nn.Conv2d(third, second, 3, padding=1), nn.BatchNorm2d(second), nn.ReLU(),
        nn.ConvTranspose2d(second, first, 3, stride=2, padding=1, output_padding=1), nn.BatchNorm2d(first), nn.ReLU(),
        nn.ConvTranspose2d(first, 1, 3, stride=2, padding=1, output_padding=1), nn.Sigmoid(),
    )  # fmt: skip
    return Plain(encoder, decoder)


FAMILIES: dict[str, Callable[[Architecture], nn.Module]] = {
    "strided_cae": strided_cae,
    "mlp": mlp,
    "conv_vae": conv_vae,
    "pooled_cae": pooled_cae,
    "conv_bn_ae": conv_bn_ae,
}


def check(name: str, row: Row) -> None:
    """Whether there is a reference for a row.

    Raises:
        UserError: There is none.
    """
    if row.family not in FAMILIES or row.input_noise or row.input_size != 28:
        raise UserError(
            f"row {name}: there is no reference loop for it; choose a row of {', '.join(FAMILIES)} without noise"
        )


def build(row: Row, seed: int) -> nn.Module:
    """The untrained model of a row."""
    torch.manual_seed(seed)
    return FAMILIES[row.family](row.architecture)


def criterion(row: Row) -> Criterion:
    """What is minimised: a function of the model's output and of the images."""
    if row.family == "conv_vae":
        beta = row.architecture["beta"]

        def negative_bound(output: tuple[Tensor, Tensor, Tensor], images: Tensor) -> Tensor:
            reconstructions, mu, log_var = output
            bce = F.binary_cross_entropy(reconstructions, images, reduction="sum")
            kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
            loss: Tensor = (bce + beta * kl) / len(images)
            return loss

        return negative_bound
    return nn.BCELoss() if row.architecture["loss"] == "bce" else nn.MSELoss()


def training_set(folder: Path) -> torchvision.datasets.MNIST:
    """The 60,000 training images as torchvision gives them.

    Args:
        folder: Holds the four decoded files, without the folders that torchvision wants around them.
    """
    with TemporaryDirectory() as root:
        raw = Path(root) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in folder.resolve().iterdir():
            (raw / file.name).symlink_to(file)
        return torchvision.datasets.MNIST(root, train=True, transform=torchvision.transforms.ToTensor())


def train_epoch(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    device: torch.device,
) -> float:
    """One epoch; the mean loss over its images."""
    model.train()
    running_loss, num_images = 0.0, 0
    for images, _ in loader:
        images = images.to(device)
        optimizer.zero_grad()
        loss = criterion(model(images), images)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(images)
        num_images += len(images)
    return running_loss / num_images


@torch.no_grad()
def validate(model: nn.Module, images: Tensor, criterion: Criterion) -> dict[str, float]:
    """Mean "loss" over images, and "mse" per pixel of the reconstructions."""
    model.eval()
    loss = mse = 0.0
    for batch in images.split(1000):
        output = model(batch)
        reconstructions = output[0] if isinstance(output, tuple) else output
        loss += criterion(output, batch).item() * len(batch)
        mse += F.mse_loss(reconstructions, batch).item() * len(batch)
    return {"loss": loss / len(images), "mse": mse / len(images)}
