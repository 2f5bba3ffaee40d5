"""Principal component analysis as a linear autoencoder: what a code of that size gives without any training."""

from sklearn.decomposition import PCA
from torch import Tensor, from_numpy

from latentlab.data.images import Splits
from latentlab.errors import UserError
from latentlab.evaluation.analysis import Subject


class LinearAutoencoder:
    """PCA fitted to images: `encode` projects, `decode` goes back; outputs may leave [0, 1] a little.

    The best linear autoencoder in squared error (Baldi and Hornik 1989).

    Args:
        images: (N, C, H, W) to fit.
        num_components: Numbers in the code.
    """

    def __init__(self, images: Tensor, num_components: int) -> None:
        self._shape = images.shape[1:]
        flat = images.flatten(1).numpy()
        # all are exact, and the same each time; the covariance of more pixels than images takes minutes
        few = "arpack" if num_components < len(flat) else "full"
        solver = "covariance_eigh" if len(flat) > flat.shape[1] else few
        self._pca = PCA(num_components, svd_solver=solver, random_state=0).fit(flat)

    def encode(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_components)."""
        return from_numpy(self._pca.transform(x.flatten(1).numpy()))

    def decode(self, z: Tensor) -> Tensor:
        """(B, num_components) -> (B, C, H, W)."""
        return from_numpy(self._pca.inverse_transform(z.numpy())).reshape(-1, *self._shape)


def of_baseline(name: str, num_components: int | None, data: Splits) -> Subject:
    """PCA fitted to all training images, validation images included; without components, the images as their own codes.

    Raises:
        UserError: There are more components than images.
    """
    if num_components is None:
        return Subject(lambda images: images, lambda codes: codes, data, name=name)
    images = data.training_images().images
    if num_components > len(images):
        raise UserError(f"{name}: {num_components} components need as many training images, and there are {len(images)}")
    pca = LinearAutoencoder(images, num_components)
    return Subject(pca.encode, pca.decode, data, name=name)
