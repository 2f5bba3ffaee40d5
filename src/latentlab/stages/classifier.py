"""Stage `classifier@dataset`: trains the classifier in whose features samples are compared."""

from latentlab import paths, stages
from latentlab.data import images
from latentlab.evaluation import classifier
from latentlab.params.project import load
from latentlab.training import devices

SEED = 0


def main(dataset: str) -> None:
    """Writes its weights; the folder stays empty where the images have no classes."""
    path = paths.classifier(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = images.load(paths.data(dataset), load().datasets[dataset].split)
    if data.classes:
        devices.make_deterministic()
        trained = classifier.train(data.train, data.test, len(data.classes), SEED)
        classifier.save(trained, path)
        print(f"{trained.test_accuracy:.2%} of the test images are classified rightly")


if __name__ == "__main__":
    stages.start(main)
