"""Every conclusion of the five sources as one literal: what is claimed, how it is tested, where the limits are, and why.

The limits were set before the results that the ledger judges. What was known then: the errors and RBF probes of an earlier
one-seed run of 25 variants under `fast`, the sources' own figures, and the analyses of vae_2. Six tests were changed after
a first look at one seed, since the measure had failed and not the claim. B16, C13, C15 and C16 took precision alone, which
calls the nearly black samples of conv_ae real (its recall is 0); D5 and D6 took the spectrum of the residual, in which
blocks that come and go with the strokes leave no line. What was known when their limits were set anew: the mean similarity
of a hundred samples of some variants, and the steps at block edges in ten images.

The letter of a claim is its source. A claim's quantities know their words, the variants that must have been run, and their
value for the results of one seed.
"""
