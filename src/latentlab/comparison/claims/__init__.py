"""Every conclusion of the five sources, and some of papers, as one literal.

It holds what is claimed, how it is tested, where the limits are, and why.

The limits were set before the results that the ledger judges. What was known then: the errors and RBF probes of an earlier
one-seed run of 25 variants under `fast`, the sources' own figures, and the analyses of vae_2. Six tests were changed after
a first look at one seed, since the measure had failed and not the claim. B16, C13, C15 and C16 took precision alone, which
calls the nearly black samples of conv_ae real (its recall is 0); D5 and D6 took the spectrum of the residual, in which
blocks that come and go with the strokes leave no line. What was known when their limits were set anew: the mean similarity
of a hundred samples of some variants, and the steps at block edges in ten images. When the limits of the papers' claims
were set, and those of C30 and C32, which a classifier decides, some analyses of one seed were known: the geometry of all
variants, the samples of vae_2, ae_2, vae_16, ae_16, vae_16_beta_4 and conv_ae, the anomalies of ten variants, and the
likelihood of two.

The letter of a claim is its source. A claim's quantities know their words, the variants that must have been run, and their
value for the results of one seed.
"""
