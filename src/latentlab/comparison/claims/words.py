"""The numbers that claims ask for: where they stand in the metrics of a run, and what people call them."""

MSE, PSNR, SSIM = "test_mse", "test_psnr", "test_ssim"
PARAMETERS, OPERATIONS = "num_parameters/total", "num_macs/total"
RBF, LINEAR, NEIGHBOURS, LOGISTIC = "svm_rbf_accuracy", "svm_linear_accuracy", "knn_accuracy", "logistic_accuracy"
GAIN = "denoising/0.2/gain_db"
WAY = "interpolation/linear/different_classes"

# for people, where the path does not say it
WORDS = {
    MSE: "test MSE",
    PSNR: "PSNR (dB)",
    SSIM: "SSIM",
    PARAMETERS: "parameters",
    OPERATIONS: "operations",
    RBF: "accuracy of the RBF probe",
    LINEAR: "accuracy of the linear SVM",
    NEIGHBOURS: "accuracy of nearest neighbours",
    LOGISTIC: "accuracy of logistic regression",
    GAIN: "gain from noise of 0.2 (dB)",
    "latent_dim": "latent dimension",
    "anomalies/mean/activations_nap/auroc": "mean AUROC of anomalies by activations (NAP)",
    "anomalies/mean/code_mahalanobis/auroc": "mean AUROC of anomalies by the code's Mahalanobis distance",
    "anomalies/mean/reconstruction/auroc": "mean AUROC of anomalies by reconstruction error",
    "compression_ratio": "pixels per latent number",
    "few_labels/logistic/100/mean": "accuracy of logistic regression with 100 labels",
    "few_labels/svm_rbf/100/mean": "accuracy of the RBF probe with 100 labels",
    "generation/active_units": "active latent numbers",
    "generation/kl_per_dimension": "KL divergence of a latent number (nats)",
    "generation/real_distance": "distance of test images from the nearest training image",
    "generation/reconstruction_std": "standard deviation of a pixel over samples of the posterior",
    "generation/grid/readable_share": "share of the grid's places that a classifier is sure of",
    "generation/grid/unreadable_distance": "distance of the other places from the centre over that of all",
    "generation/standard_normal/classifier/class_shares": "share of samples from the standard normal that are of one class",
    "generation/standard_normal/classifier/frechet_distance": "Frechet distance of samples from the standard normal, in a "
    "classifier's features",
    "generation/mixture/frechet_distance": "Frechet distance of samples from a mixture",
    "generation/mixture/classifier/frechet_distance": "Frechet distance of samples from a mixture, in a "
    "classifier's features",
    "geometry/intrinsic_dimension/codes/two_nn": "intrinsic dimension of the codes",
    "geometry/intrinsic_dimension/images/mle": "intrinsic dimension of the images",
    "geometry/neighbours_kept": "share of neighbours kept",
    "generation/standard_normal/frechet_distance": "Frechet distance of samples from the standard normal",
    "generation/standard_normal/nearest_distance": "distance of samples from the nearest training image",
    f"{WAY}/crossfade_distance": "distance of a cross-fade from the nearest training image",
    f"{WAY}/midpoint_distance": "distance of the midpoint from the nearest training image",
    f"{WAY}/step_ratio": "largest over mean step between images of different classes",
    "interpolation/linear/equal_classes/step_ratio": "largest over mean step between images of one class",
    "interpolation/real_distance": "distance of test images from the nearest training image",
    "likelihood/gap/mean": "importance-weighted bound minus ELBO (nats an image)",
    "likelihood/bits_back/bits_per_pixel_with_table": "bits per pixel by bits back",
    "latent_space/code_mean": "mean of the latent numbers",
    "latent_space/code_std": "standard deviation of the latent numbers",
    "latent_space/knn10_accuracy": "accuracy of the 10 nearest codes",
    "latent_space/share_within_3": "share of latent numbers in [-3, 3]",
    "latent_space/silhouette": "silhouette of the classes",
}


def words(path: str) -> str:
    """A number of the metrics for people."""
    if path.startswith("untrained/"):
        return f"{words(path.removeprefix('untrained/'))} before training"
    return WORDS.get(path, path.replace("/", " ").replace("_", " "))
