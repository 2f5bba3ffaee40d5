"""Which conclusions of the five sources hold, under which recipe, and which are not decided?"""
