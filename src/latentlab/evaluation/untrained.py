"""What do codes know about the classes before any training? The probes of the same encoder with its first weights.

Random codes keep nearly every image as a support vector of the RBF machine, which takes several times as long as on trained
codes: it is asked with few labels only.
"""

from latentlab.errors import UserError
from latentlab.evaluation import few_labels
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.probes import accuracy, full_probes, labelled_codes

Settings = few_labels.Settings


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Accuracies of the probes of the untrained encoder, all but the RBF machine, and with few labels.

    Images without classes give nothing.

    Raises:
        UserError: The subject is a baseline, which has no weights.
    """
    if not subject.untrained:
        raise UserError(f"{subject.name}: has no weights from before a training")
    if not subject.data.classes:
        return Analysis({})
    train, test = labelled_codes(subject.untrained())
    probes = full_probes(settings.neighbours)
    del probes["svm_rbf_accuracy"]
    accuracies = {name: accuracy(probe(*train, test[0]), test[1]) for name, probe in probes.items()}
    few = few_labels.few_label_accuracies(train, test, **settings.model_dump())
    return Analysis({**accuracies, "few_labels": few})
