"""Results in, matplotlib figures out. A row has one colour and one marker, the same in every figure."""
